"""Times of frames: presentation times where the stream has them, made to fit where it has not."""

from __future__ import annotations

_NOMINAL_RATE = 25.0  # frames a second of a file that says neither times nor a rate
_LARGEST_DRIFT = 5.0  # seconds between a camera's clock and ours, above which its clock has jumped


class Timeline:
    """Places frames in time: seconds from the source's start, never decreasing.

    A live source's times follow its presentation times and start at 0 with its first frame; a frame
    without one gets its time of arrival, and a camera whose clock jumps goes on at the time of
    arrival. In a file, a frame without a time, or with one that jumps back, follows the frame before
    it by one frame's duration.
    """

    def __init__(self, *, live: bool, frame_rate: float | None) -> None:
        self._live = live
        self._step = 1 / (frame_rate or _NOMINAL_RATE)
        self._first_arrival: float | None = None
        self.last: float | None = None  # the time of the last frame
        self._shift: float | None = None if live else 0.0  # added to presentation times
        self.irregular: bool = False  # the last frame's time was missing or had jumped

    def place(self, presented: float | None, arrived: float) -> float:
        """The time of the next frame, from its presentation time (None: it has none) and arrival."""
        if self._first_arrival is None:
            self._first_arrival = arrived
        elapsed = arrived - self._first_arrival
        if self.last is None:
            expected = 0.0
        else:
            expected = max(elapsed, self.last) if self._live else self.last + self._step
        self.irregular = False
        if presented is None:
            time = expected
            self.irregular = True
        else:
            if self._shift is None:
                self._shift = expected - presented
            time = presented + self._shift
            drifts = self._live and abs(time - elapsed) > _LARGEST_DRIFT
            if drifts or (self.last is not None and time < self.last):
                self._shift = expected - presented
                time = expected
                self.irregular = True
        self.last = time
        return time
