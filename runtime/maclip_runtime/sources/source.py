"""What every source of frames over time is: opened, iterated, closed.

A source yields frames with an identity and a time, and *notices*: what went wrong with a part of it
without ending it. Whoever scores does not know whether it was a file, a camera or a pipe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from maclip_runtime.errors import MaclipError
from maclip_runtime.method.pixels import Frame

NoticeKind = Literal[
    "damaged",  # packets or pictures that could not be decoded, or only in part
    "ends-early",  # the data stop before the end that the file announces, or within a frame
    "rotated",  # the rotation flag was applied
    "size",  # the frames have another size from here on
    "colour",  # the matrix or transfer is one that is not converted
    "time",  # presentation times are missing or jump
    "warning",  # the source's own words
]

SILENCE_TIMEOUT = 10.0  # seconds without any data after which a camera counts as lost


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """One frame of a source.

    `index`: its place in the source, from 0. `time`: presentation time in seconds from the source's
    start, never decreasing. `pixels`: uint8 RGB `[H, W, 3]`, C-contiguous. `arrived`:
    `time.monotonic()` when it was decoded, for latency.
    """

    index: int
    time: float
    pixels: Frame
    arrived: float


@dataclass(frozen=True)
class Notice:
    """Something a user should know about the frames; said when it begins, not for every frame."""

    kind: NoticeKind
    message: str


@dataclass(frozen=True)
class Lost:
    """A camera's connection is gone, or could not be made at first; it is being tried again."""

    reason: str


@dataclass(frozen=True)
class Reconnected:
    """A lost camera sends again; `after`: seconds since it was lost."""

    after: float


@dataclass(frozen=True)
class Ended:
    """There is nothing more: the end of the data, or the error that ended it."""

    error: MaclipError | None


Item = SourceFrame | Notice | Lost | Reconnected | Ended
"""What a `SourceReader` gives; a source by itself gives frames and notices."""


class Source(Protocol):
    """Frames over time.

    Iterating raises SourceError when a live source is lost: a camera has no end, so the end of its
    data is a loss. Other sources end. After `close` either ends quietly.
    """

    @property
    def name(self) -> str:
        """As given, without passwords."""

    @property
    def live(self) -> bool:
        """Frames come at their own pace, and are lost if nobody takes them."""

    @property
    def frame_rate(self) -> float | None:
        """Frames a second, None where it is not known."""

    def __iter__(self) -> Iterator[SourceFrame | Notice]:
        """Frames and notices in order; a source is iterated once, by one thread."""

    def close(self) -> None:
        """Free what the source holds. From any thread, also while another waits for a frame."""


class Notices:
    """What there is to say about one source, each kind once: `yield from notices.once(...)`."""

    def __init__(self) -> None:
        self._said: set[NoticeKind] = set()
        self._size: str | None = None

    def once(self, kind: NoticeKind, message: str) -> tuple[Notice, ...]:
        """The notice, or nothing if its kind was said before."""
        if kind in self._said:
            return ()
        self._said.add(kind)
        return (Notice(kind, message),)

    def follow_size(self, index: int, pixels: Frame) -> tuple[Notice, ...]:
        """A notice at the first frame that has another size than the frame before it."""
        height, width = pixels.shape[:2]
        before, self._size = self._size, f"{width} x {height}"
        if before in (None, self._size):
            return ()
        return self.once("size", f"{self._size} from frame {index} on, {before} before")


def hide_password(source: str) -> str:
    """A SOURCE as it may be shown: `user:***@host` instead of the password in an address."""
    return re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", source)
