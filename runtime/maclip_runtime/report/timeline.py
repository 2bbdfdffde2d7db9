"""A quantity over time in bounded memory: bins that widen as the stream goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_MOST_BINS = 1024


@dataclass
class Bin:
    """Readings that follow each other: when the first and last were, and their lowest, mean and highest."""

    start: float
    end: float
    low: float
    high: float
    total: float
    count: int

    @property
    def mean(self) -> float:
        """The mean of the readings."""
        return self.total / self.count

    def absorb(self, later: Bin) -> None:
        """Take in the bin that follows."""
        self.end = later.end
        self.low, self.high = min(self.low, later.low), max(self.high, later.high)
        self.total += later.total
        self.count += later.count


class Timeline:
    """Values with their times, kept as at most 1024 bins of equally many readings.

    When they are full, neighbours are merged and bins hold twice as many from then on: a short dip stays
    visible in `low`, however long the stream.
    """

    def __init__(self) -> None:
        self._bins: list[Bin] = []
        self._per_bin = 1

    def __iter__(self) -> Iterator[Bin]:
        return iter(self._bins)

    def __len__(self) -> int:
        """Number of readings."""
        return sum(each.count for each in self._bins)

    def add(self, time: float, value: float) -> None:
        """Take the next value; times do not run backwards."""
        reading = Bin(time, time, value, value, value, 1)
        if self._bins and self._bins[-1].count < self._per_bin:
            self._bins[-1].absorb(reading)
            return
        if len(self._bins) == _MOST_BINS:
            for first, second in zip(self._bins[::2], self._bins[1::2], strict=True):
                first.absorb(second)
            self._bins = self._bins[::2]
            self._per_bin *= 2
        self._bins.append(reading)
