"""Synthetic pictures that a seed determines, to trace, measure and verify graphs on."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Frame, Pixels, normalise_planes
from maclip_runtime.method.views import iterate_views


def draw_scene(height: int, width: int, seed: int = 0) -> Frame:
    """A synthetic photograph-like frame `[H, W, 3]`: smooth shading, hard edges, texture and noise.

    Verification needs content with the statistics of pictures (an encoder's activations on plain
    noise are not those it sees in use), and needs it on a machine that has no pictures.
    """
    return _draw_scene(height, width, seed).copy()


def draw_views(geometry: ViewGeometry, count: int = 5) -> Pixels:
    """The last `count` views of a synthetic scene `[count, 3, S, S]`, the global view among them."""
    scene = draw_scene(geometry.size + 2 * geometry.stride, geometry.size + 3 * geometry.stride)
    return next(iterate_views(scene, geometry, micro_batch=1000))[-count:]


def draw_picture(geometry: ViewGeometry) -> Pixels:
    """A scene of 2 x 3 windows `[1, 3, h, w]`, for encoders that take more than views."""
    scene = draw_scene(geometry.size + geometry.stride, geometry.size + 2 * geometry.stride)
    return normalise_planes(scene, geometry)[None]


def draw_extremes(geometry: ViewGeometry) -> Pixels:
    """Views at the ends of what a camera gives `[3, 3, S, S]`: black, white, and full-range noise."""
    shape = (geometry.size, geometry.size, 3)
    noise = np.random.default_rng(0).integers(0, 2, shape, np.uint8) * np.uint8(255)
    frames = (np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), noise)
    return np.concatenate([next(iterate_views(frame, geometry, 1)) for frame in frames])


@lru_cache(maxsize=8)  # 12 megapixels take 20 s, and every graph of a size is tried on the same
def _draw_scene(height: int, width: int, seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    span = max(height, width)
    scene = np.zeros((height, width, 3), np.float32)
    for octave in range(7):  # 1/f spectrum, as natural scenes have
        frequency = 2.0**octave * 2 * np.pi / span
        for _ in range(4):
            angle, phase = rng.uniform(0, 2 * np.pi, 2)
            wave = np.sin(frequency * (x * np.cos(angle) + y * np.sin(angle)) + phase)
            scene += wave[..., None] * rng.normal(0, 0.5**octave, 3).astype(np.float32)
    for _ in range(16):  # occluding objects
        top, left = rng.integers(0, height), rng.integers(0, width)
        bottom = top + rng.integers(8, max(9, height // 2))
        right = left + rng.integers(8, max(9, width // 2))
        scene[top:bottom, left:right] = 0.6 * scene[top:bottom, left:right] + rng.normal(0, 1, 3)
    scene = (scene - scene.mean()) / (4 * scene.std()) + 0.5
    scene += rng.normal(0, 0.02, scene.shape)
    return (scene.clip(0, 1) * 255).round().astype(np.uint8)
