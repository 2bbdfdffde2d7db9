"""Measuring in processes of their own: memory and CPU time are theirs, and a crash costs one row."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from maclip_runtime.errors import EngineError

R = TypeVar("R")


def run_apart(function: Callable[..., R], *arguments: object) -> R:
    """Call a module's function in a new process; EngineError if that dies."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise EngineError("its process died; the cause may be on stderr above") from None
