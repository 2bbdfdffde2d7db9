"""A frame to measure with where there are no pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from maclip_runtime.method.pixels import Frame


def draw_frame(height: int, width: int, seed: int = 0) -> Frame:
    """A frame `[H, W, 3]` with structure at every scale, the same for a seed: noise of five octaves."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(5):
        cells = 4 * 4**octave
        size = (min(cells, height), min(cells, width), 3)
        noise = Image.fromarray(rng.integers(0, 256, size, np.uint8))
        total += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC)) * 0.5**octave
    return (total * np.float32(1 / 1.9375)).astype(np.uint8)
