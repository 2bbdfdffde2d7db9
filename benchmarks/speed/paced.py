"""Sources for measuring: cameras that keep the time of the clock, and cameras that come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from maclip_runtime.errors import SourceError
from maclip_runtime.method.pixels import Frame
from maclip_runtime.sources.source import Notice, SourceFrame


class PacedSource:
    """A live source that shows prepared frames again and again, each when its time has come.

    What is measured beside it is the engine alone: no frame is drawn or decoded meanwhile.
    """

    live = True

    def __init__(self, name: str, frames: Sequence[Frame], rate: float, seconds: float) -> None:
        self.name, self.frame_rate = name, rate
        self._frames, self._seconds = frames, seconds
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[SourceFrame | Notice]:
        start = time.monotonic()
        index = 0
        while (due := index / self.frame_rate) < self._seconds:
            if self._closed.wait(max(0.0, start + due - time.monotonic())):
                return
            # There and back, so that no cut is where the frames begin again.
            place = index % (2 * len(self._frames))
            pixels = self._frames[min(place, 2 * len(self._frames) - 1 - place)]
            yield SourceFrame(index, due, pixels, time.monotonic())
            index += 1

    def close(self) -> None:
        """End soon."""
        self._closed.set()


class UnsteadySource:
    """A live source, as fast as its frames are taken, that is lost after so many of them."""

    live = True
    frame_rate = 30.0

    def __init__(self, name: str, frames: Sequence[Frame], count: int) -> None:
        self.name = name
        self._frames, self._count = frames, count
        self._closed = False

    def __iter__(self) -> Iterator[SourceFrame | Notice]:
        for index in range(self._count):
            if self._closed:
                return
            pixels = self._frames[index % len(self._frames)]
            yield SourceFrame(index, index / self.frame_rate, pixels, time.monotonic())
        raise SourceError(self.name, "it sends no more", transient=True)

    def close(self) -> None:
        """End with the next frame."""
        self._closed = True
