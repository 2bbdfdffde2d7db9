"""Which frames of a source are wanted: every nth, or so many a second.

Sources ask before they convert a frame's pixels, which costs more than decoding them.
"""

from __future__ import annotations

import math

from maclip_runtime.errors import UsageError


class Sampling:
    """The sampling of one source, which passes all its frames through `wants`, in order.

    every: each nth frame is wanted. rate: frames a second, at most, by their times; where the source has
    fewer, all are wanted. Raises UsageError for what cannot be.
    """

    def __init__(self, every: int = 1, rate: float | None = None) -> None:
        if every < 1:
            raise UsageError(f"every={every}: frames are counted from 1")
        if rate is not None and not (rate > 0 and math.isfinite(rate)):
            raise UsageError(f"rate={rate}: not a number of frames a second")
        self._every = every
        self._rate = rate
        self._last = -math.inf
        self._due = -math.inf  # the time from which on the next frame is wanted

    def wants(self, index: int, time: float) -> bool:
        """Whether frame `index` at `time`, in seconds from the source's start, is to be converted."""
        if index % self._every:
            return False
        if self._rate is None:
            return True
        if time < self._last or math.isinf(self._due):  # a camera that came back begins at 0
            self._due = time
        self._last = time
        # Times are rounded: a frame that is due to the microsecond is not made to wait for the next.
        passed = math.floor((time - self._due) * self._rate + 1e-6)
        if passed < 0:
            return False
        self._due += (passed + 1) / self._rate
        return True


ALL_FRAMES = Sampling()
