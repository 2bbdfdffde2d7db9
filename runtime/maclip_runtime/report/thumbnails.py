"""Small pictures inside a page: thumbnails as WebP, maps as PNGs of a pixel per cell."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maclip_runtime.report.colours import make_scale

THUMBNAIL_SIDE = 256  # pixels of the longer side; about 9 KB of WebP for a photograph
_QUALITY = 72


def encode_thumbnail(frame: NDArray[np.uint8], side: int = THUMBNAIL_SIDE) -> bytes:
    """A frame uint8 `[H, W, 3]` as WebP, its longer side at most `side` pixels."""
    image = Image.fromarray(frame)
    image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()


def shrink_map(values: NDArray[np.float32], side: int = 64) -> NDArray[np.float32]:
    """A map `[rows, columns]` of at most `side` cells a side, each the mean of what it covers."""
    rows, columns = values.shape
    if max(rows, columns) <= side:
        return values
    factor = side / max(rows, columns)
    size = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    return np.asarray(Image.fromarray(values, mode="F").resize(size, Image.Resampling.BOX))


def encode_map(values: NDArray[np.float32], low: float, high: float) -> bytes:
    """A map `[rows, columns]` as a PNG in the scale's colours, a pixel per cell."""
    part = np.clip((values - low) / (high - low), 0, 1)
    image = Image.fromarray(np.rint(part * 255).astype(np.uint8), mode="L")
    image.putpalette(make_scale().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
