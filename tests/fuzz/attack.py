"""Trying inputs on a boundary, and keeping the smallest that gets through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from boundaries import BOUNDARIES
from hypothesis import HealthCheck, Verbosity, given, settings
from mutations import INPUTS


@dataclass(frozen=True)
class Finding:
    """The smallest input found that a boundary let through, and what it did."""

    data: bytes
    fault: str


def attack(name: str, examples: int, note: Callable[[bytes], object]) -> Finding | None:
    """Try so many inputs on a boundary; `note` is called with each before it is tried."""
    failing = [b""]

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,  # it would print inputs of kilobytes
        report_multiple_bugs=False,
    )
    @given(INPUTS[name])
    def try_input(data: bytes) -> None:
        note(data)
        try:
            BOUNDARIES[name](data)
        except Exception:
            failing[0] = data  # hypothesis ends with the smallest
            raise

    try:
        try_input()
    except Exception as error:  # noqa: BLE001  whatever got through
        first = next(iter(str(error).splitlines()), "")
        return Finding(failing[0], f"{type(error).__name__}: {first:.200}")
    return None
