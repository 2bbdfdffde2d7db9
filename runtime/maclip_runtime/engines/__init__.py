"""Engines: frame in (uint8 `[H, W, 3]`), features out (float32 `[V, D]`).

How an engine cuts the views and in what portions it runs them is its own business. An engine's
library is imported when the engine is opened, never before.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle import Bundle
from maclip_runtime.errors import UsageError
from maclip_runtime.views import Frame

ENGINES = ("auto", "onnxruntime-cpu")


class Engine(Protocol):
    """What a scorer asks of an engine. `encode` may be called from several threads."""

    @property
    def name(self) -> str:
        """The name by which `--engine` asks for it, and results refer to it."""

    def encode(self, frame: Frame) -> NDArray[np.float32]:
        """Features `[V, D]`, unnormalised, of the views of a frame of at least S x S pixels."""


def open_engine(bundle: Bundle, name: str = "auto", *, threads: int | None = None) -> Engine:
    """Open the engine called `name` on a bundle; "auto" takes the fastest that fits this machine.

    `threads`: CPU threads for the engine, by default one per physical core. Raises EngineError where
    the engine cannot run, with what is missing.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}; use one of {', '.join(ENGINES)}")
    from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(bundle, threads=threads)
