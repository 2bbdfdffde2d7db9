"""Pixels: from RGB bytes to CLIP's scale (section 2 of the method), and the global view's resize.

A frame is uint8 RGB `[H, W, 3]`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.method.geometry import ViewGeometry

Frame = NDArray[np.uint8]
Floats = NDArray[np.float32]
Pixels = NDArray[np.float32]
"""What an encoder takes: float32 `[N, 3, h, w]` on CLIP's scale."""

_STRIP = 32  # rows normalised at a time: what a core's cache holds of a 4K frame


def normalise(rgb: Frame | Floats, geometry: ViewGeometry) -> Floats:
    """RGB `[..., 3]` in 0..255 to CLIP's scale: `(RGB / 255 - mean) / std`, float32."""
    scaled = np.divide(rgb, 255, dtype=np.float32)
    scaled -= np.asarray(geometry.mean, np.float32)
    scaled /= np.asarray(geometry.std, np.float32)
    return scaled


def normalise_planes(rgb: Frame, geometry: ViewGeometry) -> Floats:
    """uint8 `[h, w, 3]` to CLIP's scale with the channels first, float32 `[3, h, w]`.

    The same values as `normalise`, in strips that stay in a core's cache.
    """
    height, width = rgb.shape[:2]
    planes = np.empty((3, height, width), np.float32)
    for top in range(0, height, _STRIP):
        rows = rgb[top : top + _STRIP]
        for channel in range(3):
            plane = planes[channel, top : top + _STRIP]
            np.divide(rows[..., channel], np.float32(255), out=plane, dtype=np.float32)
            plane -= np.float32(geometry.mean[channel])
            plane /= np.float32(geometry.std[channel])
    return planes


def resize_to_view(frame: Frame, geometry: ViewGeometry) -> Floats:
    """The global view `[3, S, S]`: the whole frame, bilinear on normalised pixels, no antialiasing.

    Only the pixels under the taps are read, so the cost does not depend on the frame's size.
    """
    top, bottom, row_weight = _bilinear_taps(frame.shape[0], geometry.size)
    left, right, column_weight = _bilinear_taps(frame.shape[1], geometry.size)
    row_weight = row_weight[:, None, None]
    column_weight = column_weight[None, :, None]

    def blend_columns(rows: NDArray[np.intp]) -> Floats:
        near = normalise(frame[rows[:, None], left], geometry)
        far = normalise(frame[rows[:, None], right], geometry)
        return near * (1 - column_weight) + far * column_weight

    whole = blend_columns(top) * (1 - row_weight) + blend_columns(bottom) * row_weight
    return whole.transpose(2, 0, 1)


def _bilinear_taps(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
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
