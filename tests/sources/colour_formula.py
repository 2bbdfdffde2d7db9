"""YCbCr to RGB as the recommendations BT.601, 709 and 2020 write it, in floating point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Weights of red and blue in luma.
WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


def convert_exactly(
    luma: NDArray[np.uint8],
    blue: NDArray[np.uint8],
    red: NDArray[np.uint8],
    matrix: str,
    value_range: str,
) -> NDArray[np.float64]:
    """RGB in 0..255, not rounded; chroma has luma's size."""
    kr, kb = WEIGHTS[matrix]
    limited = value_range == "limited"
    y = (luma - 16.0) / 219 if limited else luma / 255
    cb, cr = ((chroma - 128.0) / (224 if limited else 255) for chroma in (blue, red))
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    g = (y - kr * r - kb * b) / (1 - kr - kb)
    return np.clip(np.stack([r, g, b], axis=-1) * 255, 0, 255)
