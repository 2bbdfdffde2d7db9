"""Draw test pictures from a NumPy seed: multi-scale noise, edges and flat areas, as lossless PNG.

NumPy's legacy RandomState alone decides every pixel, so the same seed gives the same files anywhere.

usage: make_images.py SEED OUT_DIR
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

# width, height: landscape, portrait, exactly one view, one pixel more, wide strip, photo sizes
SIZES = [(512, 384), (384, 512), (224, 224), (225, 225), (900, 224), (1067, 800), (810, 1080)]


def octave(rng, height, width, cells):
    """Bilinear value noise with about `cells` cells along the longer side, in [0, 1]."""
    step = max(height, width) / cells
    grid = rng.random_sample((int(height / step) + 3, int(width / step) + 3))
    y, x = np.arange(height) / step, np.arange(width) / step
    y0, x0 = y.astype(int), x.astype(int)
    fy, fx = (y - y0)[:, None], (x - x0)[None, :]
    top = grid[np.ix_(y0, x0)] * (1 - fx) + grid[np.ix_(y0, x0 + 1)] * fx
    low = grid[np.ix_(y0 + 1, x0)] * (1 - fx) + grid[np.ix_(y0 + 1, x0 + 1)] * fx
    return top * (1 - fy) + low * fy


def picture(rng, width, height):
    """uint8 RGB array [height, width, 3]."""
    channels = []
    for _ in range(3):
        plane = sum(octave(rng, height, width, 3 * 2**k) * 0.6**k for k in range(7))
        channels.append((plane - plane.min()) / (plane.max() - plane.min()))
    image = np.stack(channels, axis=-1)
    for _ in range(12):  # flat rectangles with hard edges
        y, x = rng.randint(0, height), rng.randint(0, width)
        h, w = rng.randint(8, height // 2), rng.randint(8, width // 2)
        image[y : y + h, x : x + w] = 0.5 * image[y : y + h, x : x + w] + 0.5 * rng.random_sample(3)
    return np.round(image * 255).astype(np.uint8)


if __name__ == "__main__":
    seed, out = int(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.RandomState(seed)
    for width, height in SIZES:
        Image.fromarray(picture(rng, width, height)).save(out / f"{width}x{height}.png")
