"""Frames at the sizes that measurements want."""

from __future__ import annotations

import numpy as np
from PIL import Image

from maclip_runtime.views import Frame


def limit_side(frame: Frame, longest: int, *, shortest: int = 1) -> Frame:
    """A frame `[H, W, 3]` of at most `longest` pixels on its longer side, its aspect kept.

    shortest: what the shorter side keeps at least, whatever the longer one has then. Lanczos; a frame is
    never enlarged.
    """
    height, width = frame.shape[:2]
    scale = max(longest / max(height, width), shortest / min(height, width))
    if scale >= 1:
        return frame
    size = (max(shortest, round(width * scale)), max(shortest, round(height * scale)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
