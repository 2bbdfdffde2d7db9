"""Graphs against torch: an export is only kept if ONNX Runtime computes what torch computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from maclip_export.errors import VerificationError
from maclip_runtime.manifest import Verification
from maclip_runtime.views import Pixels, ViewGeometry, iterate_views

# Largest difference over largest value, float32 against float32. Measured: 0.3e-6 to 1.6e-6 for
# RN50, ViT-B/32 and small towers. 1e-5 leaves room for deeper ones and other processors; a wrong
# operation, weight or layout is orders of magnitude above it.
FP32_TOLERANCE = 1e-5


def draw_scene(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A synthetic photograph-like frame `[H, W, 3]`: smooth shading, hard edges, texture and noise.

    Verification needs content with the statistics of pictures (an encoder's activations on plain
    noise are not those it sees in use), and needs it on a machine that has no pictures.
    """
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


def draw_views(geometry: ViewGeometry, count: int = 5) -> Pixels:
    """The last `count` views of a synthetic scene `[count, 3, S, S]`, the global view among them."""
    scene = draw_scene(geometry.size + 2 * geometry.stride, geometry.size + 3 * geometry.stride)
    return next(iterate_views(scene, geometry, micro_batch=1000))[-count:]


def verify_graph(
    path: Path,
    module: nn.Module,
    inputs: NDArray[np.generic],
    *,
    batches: Sequence[int],
    tolerance: float,
    content: str,
) -> Verification:
    """Run a graph of one input and one output on the first n of `inputs`, for each n of `batches`.

    Returns the largest difference from torch relative to the largest value of torch's result; raises
    VerificationError if it is above `tolerance` or not a number.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    worst = 0.0
    for count in batches:
        portion = inputs[:count]
        with torch.no_grad():
            expected = module(torch.from_numpy(portion)).numpy()
        actual = session.run(None, {name: portion})[0]
        difference = np.abs(actual - expected).max() / np.abs(expected).max()
        worst = max(worst, float(difference)) if np.isfinite(difference) else np.inf
    if not worst <= tolerance:
        raise VerificationError(
            f"{path.name} differs from torch by {worst:.1e} of its range, more than {tolerance:.1e}; "
            "nothing was written. Please report it, with the model and the versions of torch and onnx"
        )
    sizes = " and ".join(str(count) for count in batches)
    return Verification(f"torch {torch.__version__}", worst, tolerance, f"{content}, N = {sizes}")
