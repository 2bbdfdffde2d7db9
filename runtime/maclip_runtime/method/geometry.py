"""Which views a frame has (section 1 of the method).

Its windows are every S x S square at stride T, row by row from the top left; the last view is the global
one, the whole frame. Rows and columns that do not fill a window at the right and bottom are not seen, as in
the published method.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated

from maclip_runtime.method.ranges import Range

# CLIP's training statistics of RGB / 255 (Radford et al., 2021, released preprocessing).
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# Windows on a block's side in dense mode: 992 x 992 pixels, which RN50 encodes in 650 MB. Blocks of 4 take
# a tenth longer and half of the memory; larger ones gain nothing. The dense graphs in bundles have it too.
BLOCK_SIDE = 7

_Share = Annotated[float, Range(0, 1)]
_Spread = Annotated[float, Range(above=0, most=1)]


@dataclass(frozen=True)
class ViewGeometry:
    """How frames are cut: window side `size` (S) and `stride` (T) in pixels, and the pixel scale."""

    size: Annotated[int, Range(32, 1024)] = 224
    stride: Annotated[int, Range(16, 1024)] = 128
    mean: tuple[_Share, _Share, _Share] = CLIP_MEAN
    std: tuple[_Spread, _Spread, _Spread] = CLIP_STD

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of windows in a frame of at least S x S pixels."""
        return (
            1 + (height - self.size) // self.stride,
            1 + (width - self.size) // self.stride,
        )

    def count(self, height: int, width: int) -> int:
        """Number of views V of a frame: its windows and the global view."""
        rows, columns = self.grid(height, width)
        return rows * columns + 1


@dataclass(frozen=True)
class Block:
    """Neighbouring windows of a frame, `rows` x `columns` as ranges of window indices, and their pixels."""

    rows: slice
    columns: slice
    top: slice
    left: slice


def split_into_blocks(shape: tuple[int, ...], geometry: ViewGeometry, side: int) -> list[Block]:
    """The blocks of a frame `[H, W, 3]` of this shape, row by row, of at most `side` windows a side."""
    rows, columns = geometry.grid(*shape[:2])

    def to_pixels(windows: slice) -> slice:
        last = windows.stop - 1
        return slice(windows.start * geometry.stride, last * geometry.stride + geometry.size)

    return [
        Block(row, column, to_pixels(row), to_pixels(column))
        for row in _split_evenly(rows, side)
        for column in _split_evenly(columns, side)
    ]


def divide_alike(count: int) -> tuple[int, int]:
    """How many blocks a dense graph makes of `count` rows or columns of windows, and how long each is.

    As few as BLOCK_SIDE allows, and all of one length, as graphs on a GPU want it: block p begins at
    `count * p // blocks`, so it may share a row or column with the next, to which that belongs. Where the
    number of blocks divides `count`, they are those of `split_into_blocks`.
    """
    blocks = -(-count // BLOCK_SIDE)
    return blocks, -(-count // blocks)


def _split_evenly(count: int, most: int) -> list[slice]:
    """`count` things in as few runs of at most `most` as it takes, as equal as can be."""
    parts = -(-count // most)
    bounds = [count * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]
