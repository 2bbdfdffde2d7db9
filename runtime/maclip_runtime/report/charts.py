"""Charts as geometry: what the templates draw as SVG, in a box of 1000 x 220 units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maclip_runtime.report.axes import list_ticks, span_values

WIDTH, HEIGHT = 1000.0, 220.0


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram: its place, and how many values lie from `low` to `high`."""

    x: float
    y: float
    width: float
    height: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Tick:
    """A round number on an axis, at `place` along it."""

    place: float
    label: str


@dataclass(frozen=True)
class Histogram:
    """Bars, ticks of the values below them, and the most that a bar counts."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    most: int
    low: float
    high: float
    step: float

    def place(self, value: float) -> float:
        """Where a value is along the axis."""
        return WIDTH * (value - self.low) / (self.high - self.low)


def draw_histogram(values: Sequence[float]) -> Histogram:
    """The histogram of at least one value, in up to 40 bins."""
    bins = min(40, max(10, 2 * math.isqrt(len(values))))
    array = np.asarray(values, np.float32)
    low, high = span_values(array)
    counts, edges = np.histogram(array, bins=bins, range=(low, high))
    most = int(counts.max())
    step = WIDTH / bins
    bars = tuple(
        Bar(
            place * step,
            HEIGHT * (1 - count / most),
            step - 2,
            HEIGHT * count / most,
            float(edges[place]),
            float(edges[place + 1]),
            int(count),
        )
        for place, count in enumerate(counts)
        if count
    )
    return Histogram(bars, place_ticks(low, high, WIDTH), most, low, high, (high - low) / bins)


def place_ticks(low: float, high: float, length: float, intervals: int = 8) -> tuple[Tick, ...]:
    """Round numbers of `low`..`high` along an axis of `length`."""
    return tuple(
        Tick(length * (tick - low) / (high - low), f"{tick:.6g}")
        for tick in list_ticks(low, high, intervals)
    )
