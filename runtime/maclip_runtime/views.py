"""Views: what the encoder sees of a frame (section 1 and 2 of the method).

A frame is uint8 RGB `[H, W, 3]`. Its views are every S x S window at stride T, row by row from the
top left, then one global view of the whole frame. Rows and columns that do not fill a window at the
right and bottom are not seen, as in the published method.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Pixels = NDArray[np.float32]

# CLIP's training statistics of RGB / 255 (Radford et al., 2021, released preprocessing).
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_STRIP = 32  # rows normalised at a time: what a core's cache holds of a 4K frame


@dataclass(frozen=True)
class ViewGeometry:
    """How frames are cut: window side `size` (S) and `stride` (T) in pixels, and the pixel scale."""

    size: int = 224
    stride: int = 128
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

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


def normalise(pixels: NDArray[np.uint8] | Pixels, geometry: ViewGeometry) -> Pixels:
    """RGB `[..., 3]` in 0..255 to CLIP's scale: `(RGB / 255 - mean) / std`, float32."""
    scaled = np.divide(pixels, 255, dtype=np.float32)
    scaled -= np.asarray(geometry.mean, np.float32)
    scaled /= np.asarray(geometry.std, np.float32)
    return scaled


def _bilinear_taps(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Pixels]:
    """Lower index, upper index and upper weight of each of `target` samples, half-pixel centres.

    Computed in float32, as PyTorch's `interpolate` and ONNX Runtime's Resize do, so that the taps of
    large frames agree with theirs to the last bit.
    """
    scale = np.float32(source) / np.float32(target)
    centre = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    centre = np.maximum(centre, np.float32(0))
    lower = centre.astype(np.intp)
    upper = np.minimum(lower + 1, source - 1)
    return lower, upper, centre - lower.astype(np.float32)


def make_global_view(frame: Frame, geometry: ViewGeometry) -> Pixels:
    """The whole frame as one view `[S, S, 3]`: bilinear on normalised pixels, no antialiasing.

    Only the pixels under the taps are read, so the cost does not depend on the frame's size.
    """
    top, bottom, row_weight = _bilinear_taps(frame.shape[0], geometry.size)
    left, right, column_weight = _bilinear_taps(frame.shape[1], geometry.size)
    row_weight = row_weight[:, None, None]
    column_weight = column_weight[None, :, None]

    def blend_columns(rows: NDArray[np.intp]) -> Pixels:
        lines = frame[rows]
        near = normalise(lines[:, left], geometry)
        far = normalise(lines[:, right], geometry)
        return near * (1 - column_weight) + far * column_weight

    return blend_columns(top) * (1 - row_weight) + blend_columns(bottom) * row_weight


def shape_global_view(frame: Frame, geometry: ViewGeometry) -> Pixels:
    """The global view as encoder input by itself, `[1, 3, S, S]`."""
    return np.ascontiguousarray(make_global_view(frame, geometry).transpose(2, 0, 1)[None])


def normalise_planes(pixels: Frame, geometry: ViewGeometry) -> Pixels:
    """uint8 `[h, w, 3]` to CLIP's scale with the channels first, float32 `[3, h, w]`.

    The same values as `normalise`, in strips that stay in a core's cache.
    """
    height, width = pixels.shape[:2]
    planes = np.empty((3, height, width), np.float32)
    for top in range(0, height, _STRIP):
        rows = pixels[top : top + _STRIP]
        for channel in range(3):
            plane = planes[channel, top : top + _STRIP]
            np.divide(rows[..., channel], np.float32(255), out=plane, dtype=np.float32)
            plane -= np.float32(geometry.mean[channel])
            plane /= np.float32(geometry.std[channel])
    return planes


def iterate_views(frame: Frame, geometry: ViewGeometry, micro_batch: int) -> Iterator[Pixels]:
    """The frame's views in order, as encoder input `[n, 3, S, S]` with n at most `micro_batch`.

    Neighbouring windows share 96 of 224 rows and columns, so a row of windows is normalised once, as
    one band, and windows are copied out of it. One band and one micro-batch of float pixels exist at a
    time, whatever the frame's size.
    """
    size, stride = geometry.size, geometry.stride
    rows, columns = geometry.grid(*frame.shape[:2])
    total = rows * columns + 1
    for start in range(0, total, micro_batch):
        stop = min(start + micro_batch, total)
        batch = np.empty((stop - start, 3, size, size), np.float32)
        for place, index in enumerate(range(start, stop)):
            row, column = divmod(index, columns)
            if index == total - 1:
                batch[place] = make_global_view(frame, geometry).transpose(2, 0, 1)
                continue
            if column == 0:
                band = normalise_planes(frame[row * stride : row * stride + size], geometry)
            batch[place] = band[:, :, column * stride : column * stride + size]
        yield batch


@dataclass(frozen=True)
class Block:
    """Neighbouring windows of a frame, `rows` x `columns` as ranges of window indices, and their pixels."""

    rows: slice
    columns: slice
    top: slice
    left: slice


def plan_blocks(height: int, width: int, geometry: ViewGeometry, side: int) -> list[Block]:
    """The blocks of a frame of at least S x S pixels, row by row, of at most `side` windows a side."""
    rows, columns = geometry.grid(height, width)

    def to_pixels(windows: slice) -> slice:
        last = windows.stop - 1
        return slice(windows.start * geometry.stride, last * geometry.stride + geometry.size)

    return [
        Block(row, column, to_pixels(row), to_pixels(column))
        for row in _split_evenly(rows, side)
        for column in _split_evenly(columns, side)
    ]


def iterate_blocks(
    frame: Frame, geometry: ViewGeometry, side: int
) -> Iterator[tuple[Block, Pixels]]:
    """The frame in blocks for dense mode, each with its pixels `[1, 3, h, w]`, one at a time.

    A block is encoded as one picture, so the trunk of a ResNet sees every pixel once, not 2.4 times.
    Its windows see their neighbours where a view alone sees the convolutions' zero padding; at a
    block's border there is zero padding, as there is at every view's. So blocks need no halo: small
    ones are nearer to the published features, large ones do less work. How a frame is cut depends on
    its size alone.
    """
    height, width = frame.shape[:2]
    for block in plan_blocks(height, width, geometry, side):
        yield block, normalise_planes(frame[block.top, block.left], geometry)[None]


def _split_evenly(count: int, most: int) -> list[slice]:
    """`count` things in as few runs of at most `most` as it takes, as equal as can be."""
    parts = -(-count // most)
    bounds = [count * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]
