"""Round numbers for scales, and the range that a map's colours span."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.method.quality_map import QualityMap

# Colours never span less than this: smaller differences would look as large as real ones.
_LEAST_SPAN = 0.1


def find_step(low: float, high: float, intervals: int = 5) -> float:
    """The step of 1, 2 or 5 times a power of ten that cuts `low`..`high` into about `intervals`."""
    rough = max(high - low, 1e-9) / intervals
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def list_ticks(low: float, high: float, intervals: int = 5) -> list[float]:
    """Round numbers within `low`..`high`, both included where they are round."""
    step = find_step(low, high, intervals)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def span_values(values: NDArray[np.float32]) -> tuple[float, float]:
    """Round bounds around values, at least 0.1 apart."""
    low, high = float(values.min()), float(values.max())
    short = max(0.0, _LEAST_SPAN - (high - low)) / 2
    low, high = low - short, high + short
    step = find_step(low, high, 10)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return round(first * step, 12), round(last * step, 12)


def span_map(quality_map: QualityMap) -> tuple[float, float]:
    """The range of a map's colours: round bounds around its values; probabilities stay in 0..1."""
    low, high = span_values(quality_map.values)
    if quality_map.quantity in ("score", "magnitude"):
        return low, high
    return max(low, 0.0), min(high, 1.0)
