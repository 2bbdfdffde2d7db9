"""Graphs against what they must compute: an export is only kept if ONNX Runtime computes that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from maclip_export.errors import VerificationError
from maclip_export.frame_graphs import FrameSize
from maclip_runtime.bundle.manifest import Method, Verification
from maclip_runtime.method.geometry import ViewGeometry, split_into_blocks
from maclip_runtime.method.head import score_views
from maclip_runtime.method.pixels import Frame, Pixels, normalise_planes
from maclip_runtime.method.views import iterate_views, normalise_block, normalise_global_view
from maclip_runtime.vocabulary import Precision

Floats = NDArray[np.float32]
Compute = Callable[[NDArray[np.generic]], Floats]

# Largest difference of features over their largest value. Measured: 0.3e-6 to 1.8e-6 in float32 and
# 1e-4 to 1e-3 in half for RN50, ViT-B/32 and small towers; a wrong operation, weight or layout is
# orders of magnitude above. The room is for deeper towers and other processors. INT8 is held to the
# ranking of pictures (calibration.py); here it only must not be wrong.
TOLERANCE: dict[Precision, float] = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.5}
# Largest difference of a score or a cue, absolute.
SCORE_TOLERANCE: dict[Precision, float] = {"fp32": 1e-5, "fp16": 2e-3, "int8": 0.2}

# What a graph that takes any frame is tried on: one view, a row of windows with pixels left over, a grid.
_FRAME_SIZES = ((224, 224), (225, 901), (480, 640))
_CHUNK = 16  # views a run, which bounds the memory of verifying


def draw_scene(height: int, width: int, seed: int = 0) -> Frame:
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


def run_torch(module: nn.Module) -> Compute:
    """A torch module of one input as a function on arrays."""

    def compute(inputs: NDArray[np.generic]) -> Floats:
        with torch.no_grad():
            outputs: Floats = module(torch.from_numpy(inputs)).numpy()
        return outputs

    return compute


class HostPath:
    """The runtime's own way: views cut in NumPy, the float32 encoder graph, the NumPy head."""

    name = "the float32 host path"

    def __init__(self, encoder: Path, method: Method, prompts: Floats) -> None:
        self.method = method
        self._prompts = prompts
        self._session = _open(encoder)

    def encode(self, frame: Frame) -> Floats:
        """Features `[V, D]` of a frame."""
        batches = iterate_views(frame, self.method.views, _CHUNK)
        return np.concatenate([self._session.run(None, {"pixels": b})[0] for b in batches])

    def encode_dense(self, frame: Frame) -> Floats:
        """Features `[V, D]` in dense mode, the whole frame as one block."""
        (block,) = split_into_blocks(frame.shape, self.method.views, max(frame.shape[:2]))
        runs = (
            normalise_block(frame, self.method.views, block),
            normalise_global_view(frame, self.method.views),
        )
        return np.concatenate([self._session.run(None, {"pixels": run})[0] for run in runs])

    def judge(self, frame: Frame) -> dict[str, float]:
        """Score, similarity and magnitude of a frame, by the names of the score graph's outputs."""
        cues = score_views(
            self.encode(frame), self._prompts, self.method.logit_scale, self.method.head
        )
        return {n: float(getattr(cues, n).mean()) for n in ("score", "similarity", "magnitude")}


def verify_graph(
    path: Path,
    reference: Compute,
    cases: Sequence[NDArray[np.generic]],
    tolerance: float,
    content: str,
) -> Verification:
    """Hold a graph of one input and one output against `reference`, on each of several inputs.

    Returns the largest difference relative to the largest value of the reference; raises
    VerificationError if it is above `tolerance` or not a number. content: what the inputs are.
    """
    session = _open(path)
    name = session.get_inputs()[0].name

    def differences() -> Iterator[float]:
        for case in cases:
            yield compare(session.run(None, {name: case})[0], reference(case))

    return _conclude(path, f"torch {torch.__version__}", differences(), tolerance, content)


def verify_frame_graph(
    path: Path, encode: Callable[[Frame], Floats], size: FrameSize | None, tolerance: float
) -> Verification:
    """Hold a frame graph against `encode`, the host path's way to features.

    On a scene of the graph's size, or on several if it takes any.
    """
    session = _open(path)
    chunked = len(session.get_inputs()) == 2

    def run(frame: Frame, views: int) -> Floats:
        if not chunked:
            return session.run(None, {"frame": frame})[0]
        chunks = np.split(np.arange(views), range(_CHUNK, views, _CHUNK))
        feeds = ({"frame": frame, "views": chunk} for chunk in chunks)
        return np.concatenate([session.run(None, feed)[0] for feed in feeds])

    def differences() -> Iterator[float]:
        for height, width in [size] if size else _FRAME_SIZES:
            frame = draw_scene(height, width)
            expected = encode(frame)
            yield compare(run(frame, len(expected)), expected)

    return _conclude(path, HostPath.name, differences(), tolerance, _name_scenes(size))


def verify_score_graph(
    path: Path, host: HostPath, size: FrameSize | None, precision: Precision
) -> Verification:
    """Hold a score graph against the host path; the difference is absolute, of the score and the cues."""
    session = _open(path)
    names = [output.name for output in session.get_outputs()]

    def differences() -> Iterator[float]:
        for height, width in [size] if size else _FRAME_SIZES:
            frame = draw_scene(height, width)
            expected = host.judge(frame)
            for name, value in zip(names, session.run(names, {"frame": frame}), strict=True):
                yield abs(float(value) - expected[name])

    return _conclude(path, host.name, differences(), SCORE_TOLERANCE[precision], _name_scenes(size))


def compare(actual: Floats, expected: Floats) -> float:
    """Largest difference over the largest expected value; NaN if any value is not a number."""
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def _open(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _name_scenes(size: FrameSize | None) -> str:
    sizes = ", ".join(f"{h} x {w}" for h, w in ([size] if size else _FRAME_SIZES))
    return f"synthetic scenes of {sizes}"


def _conclude(
    path: Path, reference: str, differences: Iterator[float], tolerance: float, cases: str
) -> Verification:
    worst = 0.0
    for difference in differences:
        if not difference <= tolerance:  # a NaN is not
            raise VerificationError(
                f"{path.name} differs from {reference} by {difference:.1e}, more than {tolerance:.1e}; "
                "nothing was written. Please report it, with the model and the output of maclip doctor"
            )
        worst = max(worst, difference)
    return Verification(reference, worst, tolerance, cases)
