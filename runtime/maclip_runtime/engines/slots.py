"""The memory of frames under way on a GPU, taken once for the largest frame of a plan's profile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle.manifest import Shape
from maclip_runtime.engines.chunks import Split
from maclip_runtime.engines.cuda import Buffer, Cuda, pad
from maclip_runtime.engines.engine import EncodingTime
from maclip_runtime.errors import EngineError
from maclip_runtime.method.pixels import Floats, Frame


@dataclass(frozen=True, eq=False)
class Slot:
    """The memory of one of the frames under way.

    Of `indices` (int64) and `features` (float32) each chunk begins where a tensor may; see `locate`.
    """

    frame: Buffer
    indices: Buffer
    features: Buffer
    started: Any  # event: the upload begins
    uploaded: Any  # event: the frame is on the device
    done: Any  # event: the features are on the host


@dataclass
class SlotPending:
    """A frame under way in a slot; its features are copied out of it when somebody wants either.

    download: waits for the device and copies them. is_done: whether it would wait.
    """

    slot: Slot
    download: Callable[[], tuple[Floats, EncodingTime]]
    is_done: Callable[[], bool]
    owner: Any = None  # of memory that the device may still read
    time: EncodingTime = field(default_factory=lambda: EncodingTime({}, 0))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _features: Floats | None = None
    _error: EngineError | None = None

    def result(self) -> Floats:
        """The features; waits for the device."""
        self.collect()
        if self._features is None:
            assert self._error is not None
            raise self._error
        return self._features

    def done(self) -> bool:
        """Whether the device has finished it."""
        with self._lock:
            return self._is_collected or self.is_done()

    def collect(self) -> None:
        """Empty the slot for another frame, once; an error is kept for whoever waits for this frame."""
        with self._lock:
            if self._is_collected:
                return
            try:
                self._features, self.time = self.download()
            except EngineError as error:
                self._error = error
            self.owner = None

    @property
    def _is_collected(self) -> bool:
        return self._features is not None or self._error is not None


def measure_rows(split: Split, row_bytes: int) -> int:
    """Bytes of all chunks, a row a view."""
    return split.chunks * pad(split.chunk * row_bytes)


def copy_frame(frame: Frame, host: Frame) -> None:
    """Copy a frame, whatever its strides, to host memory of the same shape that is contiguous.

    NumPy copies rows of contiguous pixels whole, but a BGR view three bytes at a time; a channel at a time
    is several times as fast.
    """
    if frame.ndim == 2 or frame.strides[1:] == (frame.shape[2], 1):  # nv12 has rows of bytes
        np.copyto(host, frame)
        return
    for channel in range(frame.shape[2]):
        host[..., channel] = frame[..., channel]


def write_indices(slot: Slot, views: NDArray[Any], split: Split) -> int:
    """Put the chunks' views into a slot, the last chunk filled up with its last view; returns the bytes."""
    size = measure_rows(split, 8)
    table = slot.indices.host[:size].view(np.int64).reshape(split.chunks, -1)
    table[:, : split.chunk] = split.fill(views)
    return size


def read_features(slot: Slot, split: Split, dim: int) -> Floats:
    """The features `[count, D]` of a slot that the device is done with, a copy."""
    table = slot.features.host[: measure_rows(split, dim * 4)].view(np.float32)
    chunks = table.reshape(split.chunks, -1)[:, : split.chunk * dim]
    return np.array(chunks.reshape(-1, dim)[: split.count])


def allocate_slot(cuda: Cuda, frame: Shape, splits: list[Split], dim: int) -> Slot:
    """Room for frames up to `[H, W, 3]`, and the views and features of any of `splits`."""
    return Slot(
        frame=cuda.make_buffer(int(np.prod(frame))),
        indices=cuda.make_buffer(max(measure_rows(split, 8) for split in splits)),
        features=cuda.make_buffer(max(measure_rows(split, dim * 4) for split in splits)),
        started=cuda.make_event(),
        uploaded=cuda.make_event(),
        done=cuda.make_event(),
    )
