"""Views: what the encoder sees of a frame (section 1 and 2 of the method).

A frame is uint8 RGB `[H, W, 3]`. Its views are every S x S window at stride T, row by row from the
top left, then one global view of the whole frame. Rows and columns that do not fill a window at the
right and bottom are not seen, as in the published method.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Pixels = NDArray[np.float32]

# CLIP's training statistics of RGB / 255 (Radford et al., 2021, released preprocessing).
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


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


def cut_windows(frame: Frame, geometry: ViewGeometry) -> NDArray[np.uint8]:
    """Every window of `frame` as a view on its memory, `[rows, columns, S, S, 3]`, nothing copied."""
    size, stride = geometry.size, geometry.stride
    windows = sliding_window_view(frame, (size, size), axis=(0, 1))[::stride, ::stride]
    return np.moveaxis(windows, 2, -1)


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


def iterate_views(frame: Frame, geometry: ViewGeometry, micro_batch: int) -> Iterator[Pixels]:
    """The frame's views in order, as encoder input `[n, 3, S, S]` with n at most `micro_batch`.

    Only one micro-batch of float pixels exists at a time, whatever the frame's size.
    """
    rows, columns = geometry.grid(*frame.shape[:2])
    windows = cut_windows(frame, geometry)
    total = rows * columns + 1
    for start in range(0, total, micro_batch):
        stop = min(start + micro_batch, total)
        batch = np.empty((stop - start, 3, geometry.size, geometry.size), np.float32)
        for place, index in enumerate(range(start, stop)):
            if index < total - 1:
                pixels = normalise(windows[divmod(index, columns)], geometry)
            else:
                pixels = make_global_view(frame, geometry)
            batch[place] = pixels.transpose(2, 0, 1)
        yield batch
