"""The memory of frames under way on a GPU, taken once for the largest frame of a plan's profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle.manifest import Shape
from maclip_runtime.engines.cuda import Cuda, pad


@dataclass
class Slot:
    """One of the frames under way: its memory, and its CUDA graph once there is one."""

    frame_host: NDArray[Any]  # pinned uint8, room for the largest frame
    frame: int
    indices_host: NDArray[Any]  # pinned int64, room for the chunks of the largest frame
    indices: int
    features_host: NDArray[Any]  # pinned float32 [rows, D]
    features: int
    started: Any  # event: the upload begins
    uploaded: Any  # event: the frame is on the device
    done: Any  # event: the features are on the host
    graph: Any = None  # for frames of the engine's present shape


@dataclass(frozen=True)
class Split:
    """How a frame is worked off: `count` views in `chunks` of `chunk` each, the last filled up."""

    count: int
    chunks: int
    chunk: int


def split_views(count: int, limit: int | None) -> Split:
    """Chunks as even as can be, of at most `limit` views; all at once where there is none."""
    if limit is None:
        return Split(count, 1, count)
    chunks = -(-count // limit)
    return Split(count, chunks, -(-count // chunks))


def allocate_slot(cuda: Cuda, frame: Shape, views: Split, dim: int) -> Slot:
    """Room for a frame `[H, W, 3]` and its features; smaller frames, with smaller chunks, fit as well."""
    indices = views.chunks * pad(views.chunk * 8)
    pixels = int(np.prod(frame))
    rows = views.chunks * views.chunk
    return Slot(
        frame_host=cuda.allocate_pinned((pixels,), np.uint8),
        frame=cuda.allocate(pixels),
        indices_host=cuda.allocate_pinned((indices // 8,), np.int64),
        indices=cuda.allocate(indices),
        features_host=cuda.allocate_pinned((rows, dim), np.float32),
        features=cuda.allocate(views.chunks * pad(views.chunk * dim * 4)),
        started=cuda.make_event(),
        uploaded=cuda.make_event(),
        done=cuda.make_event(),
    )
