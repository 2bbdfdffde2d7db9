"""Raw frames on a pipe: one after the other, of one size and pixel format, with nothing between them."""

from __future__ import annotations

import select
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.errors import Remedy, SourceError, UsageError
from maclip_runtime.method.pixels import Frame
from maclip_runtime.sources.colour import (
    assume_matrix,
    convert_gray,
    convert_yuv,
)
from maclip_runtime.sources.sampling import ALL_FRAMES, Sampling
from maclip_runtime.sources.source import Notice, SourceFrame
from maclip_runtime.sources.timeline import Timeline
from maclip_runtime.vocabulary import (
    COLOUR_MATRICES,
    COLOUR_RANGES,
    PIXEL_FORMATS,
    ColourMatrix,
    ColourRange,
    PixelFormat,
)

_CLOSE_POLL_MS = 100  # how often a read that waits for data looks whether it was closed


@dataclass(frozen=True)
class RawFormat:
    """How the bytes of a raw frame lie.

    `stride`: bytes from one row to the next, where rows are padded; nv12's chroma rows have it too.
    `matrix`: None is BT.709 for high definition and BT.601 below (`assume_matrix`). `value_range`:
    None is limited for nv12 and yuyv422 and full for gray8. Raises UsageError for what cannot be.
    """

    height: int
    width: int
    pixel_format: PixelFormat = "rgb24"
    stride: int | None = None
    matrix: ColourMatrix | None = None
    value_range: ColourRange | None = None

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise UsageError(f"raw frames of {self.height} x {self.width}: sizes are at least 1")
        _check("pixel format", self.pixel_format, PIXEL_FORMATS)
        _check("matrix", self.matrix or COLOUR_MATRICES[0], COLOUR_MATRICES)
        _check("range", self.value_range or COLOUR_RANGES[0], COLOUR_RANGES)
        if self.stride is not None and self.stride < self.row_bytes:
            raise UsageError(
                f"a stride of {self.stride} bytes is too small: a row of {self.width} pixels in "
                f"{self.pixel_format} has {self.row_bytes}"
            )

    @property
    def row_bytes(self) -> int:
        """Bytes that a row needs, at the least; of nv12, a row of chroma."""
        pairs = -(-self.width // 2)
        return {
            "rgb24": 3 * self.width,
            "bgr24": 3 * self.width,
            "nv12": 2 * pairs,
            "yuyv422": 4 * pairs,
            "gray8": self.width,
        }[self.pixel_format]

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame, its padding included."""
        if self.pixel_format == "nv12":
            chroma_rows = -(-self.height // 2)
            return self._luma_stride * self.height + self._row_stride * chroma_rows
        return self._row_stride * self.height

    @property
    def _row_stride(self) -> int:
        return self.stride or self.row_bytes

    @property
    def _luma_stride(self) -> int:
        return self.stride or self.width  # of nv12, whose luma rows may be of odd length

    def convert(self, data: NDArray[np.uint8]) -> Frame:
        """One frame's bytes `[frame_bytes]` as RGB `[H, W, 3]`, a copy where anything changes."""
        height, width = self.height, self.width
        if self.pixel_format == "nv12":
            return self._convert_nv12(data)
        rows = data.reshape(height, self._row_stride)[:, : self.row_bytes]
        if self.pixel_format == "gray8":
            return convert_gray(rows, self.value_range or "full")
        if self.pixel_format == "yuyv422":
            pairs = rows.reshape(height, -1, 4)
            luma = pairs[:, :, 0::2].reshape(height, -1)[:, :width]
            return self._convert_yuv(luma, pairs[:, :, 1], pairs[:, :, 3])
        pixels = rows.reshape(height, width, 3)
        return np.ascontiguousarray(pixels[:, :, ::-1] if self.pixel_format == "bgr24" else pixels)

    def _convert_nv12(self, data: NDArray[np.uint8]) -> Frame:
        split = self._luma_stride * self.height
        luma = data[:split].reshape(self.height, self._luma_stride)[:, : self.width]
        chroma = data[split:].reshape(-1, self._row_stride)[:, : self.row_bytes]
        pairs = chroma.reshape(chroma.shape[0], -1, 2)
        return self._convert_yuv(luma, pairs[:, :, 0], pairs[:, :, 1])

    def _convert_yuv(
        self, luma: NDArray[np.uint8], blue: NDArray[np.uint8], red: NDArray[np.uint8]
    ) -> Frame:
        matrix = self.matrix or assume_matrix(self.width, self.height)
        return convert_yuv(luma, blue, red, matrix, self.value_range or "limited")


class RawSource:
    """Frames of one `RawFormat` from a binary stream. Times from `frame_rate`, else of arrival."""

    live = False  # a pipe holds its writer back: nothing is lost

    def __init__(
        self,
        name: str,
        stream: BinaryIO,
        raw_format: RawFormat,
        frame_rate: float | None = None,
        *,
        sampling: Sampling = ALL_FRAMES,
    ) -> None:
        self.name = name
        self.frame_rate = frame_rate
        self._format = raw_format
        self._sampling = sampling
        self._stream = stream
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[SourceFrame | Notice]:
        timeline = Timeline(live=self.frame_rate is None, frame_rate=self.frame_rate)
        index = 0
        while True:
            data = np.empty(self._format.frame_bytes, np.uint8)
            count = self._fill(data.data)
            if self._closed.is_set():
                return
            if count < data.size:
                if count:
                    reason = f"its last frame has {count} of {data.size} bytes and is left out"
                    hint = "" if index else "; are the size and the pixel format right?"
                    yield Notice("ends-early", reason + hint)
                return
            arrived = time.monotonic()
            presented = index / self.frame_rate if self.frame_rate else None
            when = timeline.place(presented, arrived)
            if self._sampling.wants(index, when):
                yield SourceFrame(index, when, self._format.convert(data), arrived)
            index += 1

    def close(self) -> None:
        """End the iteration, within a tenth of a second; the stream itself is its opener's."""
        self._closed.set()

    def _fill(self, buffer: memoryview) -> int:
        """Read until the buffer is full, the data end or the source is closed: bytes read."""
        stream: Any = getattr(
            self._stream, "raw", self._stream
        )  # a buffer would hide data from poll()
        poll = _poll_for(stream)
        count = 0
        while count < len(buffer):
            while poll is not None and not self._closed.is_set():
                if poll.poll(_CLOSE_POLL_MS):
                    break
            if self._closed.is_set():
                break
            try:
                read = stream.readinto(buffer[count:])
            except OSError as error:
                raise SourceError(self.name, f"cannot be read: {error.strerror or error}") from None
            if read is None:  # a pipe that does not block, and is empty after all
                continue
            if read == 0:
                break
            count += read
        return count


def open_raw(
    source: str,
    *,
    frame_rate: float | None = None,
    raw_format: RawFormat | None = None,
    sampling: Sampling = ALL_FRAMES,
) -> RawSource:
    """Raw frames on stdin. Raises UsageError without a format, SourceError if nothing is piped in."""
    if raw_format is None:
        raise UsageError(
            "raw frames on stdin have no header",
            Remedy("say {size} (height x width)", settings={"size": None}),
        )
    if sys.stdin is None or sys.stdin.isatty():
        raise SourceError(source, "nothing is piped into stdin")
    return RawSource(source, sys.stdin.buffer, raw_format, frame_rate, sampling=sampling)


def _check(what: str, word: str, known: Sequence[str]) -> None:
    if word not in known:
        raise UsageError(f"unknown {what} {word!r}; use one of {', '.join(known)}")


def _poll_for(stream: BinaryIO) -> select.poll | None:
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError):  # in memory: never waits
        return None
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return poll
