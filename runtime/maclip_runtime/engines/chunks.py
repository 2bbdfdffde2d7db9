"""How the views of a frame are divided into runs of one size, which libraries prepare kernels for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle.manifest import BundleFile, Shape
from maclip_runtime.method.geometry import BLOCK_SIDE, ViewGeometry, divide_alike

MOST_IN_BLOCK = BLOCK_SIDE**2 + 1  # views of a chunk of a dense graph


@dataclass(frozen=True)
class Split:
    """How a frame is worked off: `count` views in `chunks` of `chunk` each, the last filled up."""

    count: int
    chunks: int
    chunk: int

    def fill(self, views: NDArray[Any]) -> NDArray[Any]:
        """`count` views as `[chunks, chunk]`, the last one again where a chunk is filled up."""
        places = np.minimum(np.arange(self.chunks * self.chunk), self.count - 1)
        return np.asarray(views)[places].reshape(self.chunks, self.chunk)


def split_evenly(count: int, limit: int) -> Split:
    """Chunks as even as can be, of at most `limit` views."""
    chunks = -(-count // limit)
    return Split(count, chunks, -(-count // chunks))


def split_alike(count: int, chunk: int) -> Split:
    """Chunks of `chunk` views; of the power of two that takes them all where there are fewer.

    So there are few sizes of chunks, whatever the numbers of views, for a library that compiles for each.
    """
    if count < chunk:
        chunk = min(chunk, 1 << (count - 1).bit_length())
    return Split(count, -(-count // chunk), chunk)


def bound_blocks(shape: Shape, geometry: ViewGeometry) -> Split:
    """What no frame `[H, W, 3]` up to this one has more of, worked off by blocks."""
    (down, _), (across, _) = map(divide_alike, geometry.grid(*shape[:2]))
    return Split(down * across * MOST_IN_BLOCK, down * across, MOST_IN_BLOCK)


def group_by_block(
    shape: Shape, geometry: ViewGeometry, views: NDArray[Any]
) -> tuple[Split, NDArray[np.int64], NDArray[np.intp]]:
    """A dense graph's chunks for a frame `[H, W, 3]`: each of views of one block, those that are wanted.

    Returns how they are worked off, the views int64 `[chunks * chunk]` in that order, and the place of each
    of `views` (int `[N]`, none twice) among them. A chunk has room for a block's windows and the global
    view, which goes with the last window; what is left of it is filled up with a view that is there.
    """
    rows, columns = geometry.grid(*shape[:2])
    (down, high), (across, wide) = divide_alike(rows), divide_alike(columns)
    row, column = np.divmod(np.minimum(views, rows * columns - 1), columns)
    # The last block that begins at or before a window: the largest p with count * p // blocks <= place.
    block = ((row + 1) * down - 1) // rows * across + ((column + 1) * across - 1) // columns
    held = np.unique(block)
    split = Split(len(held) * (high * wide + 1), len(held), high * wide + 1)
    order, places = np.empty((split.chunks, split.chunk), np.int64), np.empty(len(views), np.intp)
    for chunk, number in enumerate(held):
        members = np.flatnonzero(block == number)
        filled = Split(len(members), 1, split.chunk).fill(np.asarray(views)[members])
        order[chunk], places[members] = filled, chunk * split.chunk + np.arange(len(members))
    return split, order.ravel(), places


def count_pixels(file: BundleFile, shape: Shape, geometry: ViewGeometry, split: Split) -> int:
    """Pixels that the encoder sees of a frame."""
    view = geometry.size**2
    if not takes_blocks(file):
        return split.count * view
    high, wide = (
        geometry.size + (divide_alike(count)[1] - 1) * geometry.stride
        for count in geometry.grid(*shape[:2])
    )
    return split.chunks * (high * wide + view)


def takes_blocks(file: BundleFile) -> bool:
    """Whether a frame graph or its plan wants the views of one block in a run."""
    return file.chunked and file.role == "dense_frame_graph"
