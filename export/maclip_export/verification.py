"""Graphs against what they must compute: an export is only kept if ONNX Runtime computes that.

The encoder's float32 graph is held against torch; every other graph against what the runtime itself, with
that graph and on the CPU, makes of the same frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from maclip_export.errors import VerificationError
from maclip_export.frames import lay_out
from maclip_export.graphs.running import open_graph
from maclip_export.scenes import draw_scene
from maclip_export.selection import GraphRow
from maclip_export.vocabulary import FrameSize
from maclip_runtime import Scorer
from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import BundleFile, Verification
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from maclip_runtime.errors import Remedy
from maclip_runtime.method.geometry import BLOCK_SIDE
from maclip_runtime.method.head import score_views
from maclip_runtime.method.pixels import Floats, Frame
from maclip_runtime.vocabulary import Precision, ViewMode

Compute = Callable[[NDArray[np.generic]], Floats]

# Largest difference of features over their largest value. Measured: 0.3e-6 to 1.8e-6 in float32 and
# 1e-4 to 1e-3 in half for RN50, ViT-B/32 and small towers; a wrong operation, weight or layout is
# orders of magnitude above. The room is for deeper towers and other processors. INT8 is held to the
# ranking of pictures (quality/rankings.py) as well; here it only must not be wrong.
TOLERANCE: dict[Precision, float] = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.5}
# Largest difference of a score or a cue, absolute.
SCORE_TOLERANCE: dict[Precision, float] = {"fp32": 1e-5, "fp16": 2e-3, "int8": 0.2}

HOST = "the float32 host path"  # the runtime on the CPU, as manifests call it

# What a graph that takes any frame is tried on: one view; a row of windows, two blocks in dense mode, with
# pixels left over; a grid.
_FRAME_SIZES = ((224, 224), (225, 1152), (480, 640))
_CHUNK = 16  # views a run, which bounds the memory of verifying
_WHOLE = 1 << 20  # windows on a block's side: a dense graph for one size takes one block


def run_torch(module: nn.Module) -> Compute:
    """A torch module of one input as a function on arrays."""

    def compute(inputs: NDArray[np.generic]) -> Floats:
        with torch.no_grad():
            outputs: Floats = module(torch.from_numpy(inputs)).numpy()
        return outputs

    return compute


def open_scorer(bundle: Bundle) -> Scorer:
    """The runtime's scorer on the CPU, exact, with a bundle's float32 encoder."""
    return Scorer(bundle, engine="onnxruntime-cpu", precision="fp32")


def score_frames(
    bundle: Bundle, file: BundleFile, frames: Sequence[Frame], view_mode: ViewMode
) -> list[float]:
    """The scores of frames as the runtime makes them on the CPU with an encoder graph of a bundle."""
    method, prompts = bundle.manifest.method, bundle.load_prompts()
    engine = OnnxRuntimeEngine(bundle, file, view_mode=view_mode)
    scores = []
    try:
        for frame in frames:
            features = engine.encode(frame)
            cues = score_views(
                features, prompts, method.logit_scale, method.head, bundle.manifest.scored
            )
            scores.append(cues.mean().score)
    finally:
        engine.close()
    return scores


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
    session = open_graph(path)
    name = session.get_inputs()[0].name

    def differences() -> Iterator[float]:
        for case in cases:
            yield compare(session.run(None, {name: case})[0], reference(case))

    return _conclude(path, f"torch {torch.__version__}", differences(), tolerance, content)


def verify_frame_graph(bundle: Bundle, row: GraphRow) -> Verification:
    """Hold a frame graph of a staged bundle against the runtime's features in its view mode.

    On a scene of the graph's size, or on several if it takes any. The bundle has the float32 encoder, and
    the graph is the last in its manifest. One for another pixel format is held against the host's features
    of the same frames in RGB.
    """
    encoder = bundle.find("image_encoder", "fp32")
    side = BLOCK_SIDE if row.chunked else _WHOLE
    host = OnnxRuntimeEngine(bundle, encoder, view_mode=row.view_mode, block_side=side)
    engine = OnnxRuntimeEngine(bundle, bundle.manifest.files[-1], micro_batch=_CHUNK)

    def differences() -> Iterator[float]:
        for scene in _draw_frames(row.size):
            if row.pixel_format == "nv12":
                scene = scene[: scene.shape[0] // 2 * 2, : scene.shape[1] // 2 * 2]
            frame, rgb = lay_out(scene, row.pixel_format, row.colour)
            yield compare(engine.encode(frame), host.encode(rgb))

    path, tolerance = bundle.path / row.path, TOLERANCE[row.precision]
    return _conclude(path, HOST, differences(), tolerance, _name_scenes(row.size))


def verify_score_graph(bundle: Bundle, row: GraphRow) -> Verification:
    """Hold a score graph against the runtime's scores, cues and attributes; the difference is absolute."""
    session = open_graph(bundle.path / row.path)
    scorer = open_scorer(bundle)
    names = ["score", "similarity", "magnitude", "attributes"]

    def differences() -> Iterator[float]:
        for frame in _draw_frames(row.size):
            cues = scorer.score(frame).cues
            for name, value in zip(names, session.run(names, {"frame": frame}), strict=True):
                yield float(np.abs(value - getattr(cues, name).mean(axis=0)).max())

    path, tolerance = bundle.path / row.path, SCORE_TOLERANCE[row.precision]
    return _conclude(path, HOST, differences(), tolerance, _name_scenes(row.size))


def compare(actual: Floats, expected: Floats) -> float:
    """Largest difference over the largest expected value; NaN if any value is not a number."""
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def _draw_frames(size: FrameSize | None) -> Iterator[Frame]:
    for height, width in [size] if size else _FRAME_SIZES:
        yield draw_scene(height, width)


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
                "nothing was written",
                Remedy("please report it, with the model and what this says", ("doctor",)),
            )
        worst = max(worst, difference)
    return Verification(reference, worst, tolerance, cases)
