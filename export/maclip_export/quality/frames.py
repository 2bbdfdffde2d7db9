"""Frames scaled down, so that measuring them takes a bounded time."""

from __future__ import annotations

import numpy as np
from PIL import Image

from maclip_runtime.method.pixels import Frame


def limit_side(frame: Frame, longest: float, *, shortest: int = 1) -> Frame:
    """A frame `[H, W, 3]` whose longer side is at most `longest` pixels, aspect kept; never enlarged.

    Scaled down with Lanczos' filter, which antialiases and so removes most of what compression left in
    the frame. No side gets shorter than `shortest` pixels, even where the other is then above `longest`.
    """
    height, width = frame.shape[:2]
    scale = max(longest / max(height, width), shortest / min(height, width))
    if scale >= 1:
        return frame
    size = (max(shortest, round(width * scale)), max(shortest, round(height * scale)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
