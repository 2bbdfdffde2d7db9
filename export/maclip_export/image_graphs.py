"""The image encoder's graphs: in every precision, for views and pictures, and joined to raw frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from maclip_export.calibration import (
    CalibrationSet,
    compare_rankings,
    degrade_ranked,
    draw_calibration_views,
)
from maclip_export.checkpoints import Checkpoint
from maclip_export.encoders import CELL, ResNetEncoder, build_image_encoder
from maclip_export.errors import CheckpointError, VerificationError
from maclip_export.frame_graphs import (
    FrameSize,
    chain_graphs,
    write_dense_graph,
    write_head_graph,
    write_views_graph,
)
from maclip_export.graphs import describe_graph, trace_graph
from maclip_export.half import convert_to_half
from maclip_export.int8 import quantise_graph
from maclip_export.sensitivity import rank_layers
from maclip_export.verification import (
    TOLERANCE,
    HostPath,
    draw_extremes,
    draw_picture,
    draw_views,
    run_torch,
    verify_frame_graph,
    verify_graph,
    verify_score_graph,
)
from maclip_runtime.bundle.manifest import Agreement, BundleFile, Method
from maclip_runtime.vocabulary import Precision

Report = Callable[[str], None]
NAMES = ("pixels", "features", "views")


@dataclass(frozen=True)
class GraphPlan:
    """Which graphs to export: precisions, and frame sizes (None takes any) of frame and score graphs.

    dense: frame sizes of frame graphs in dense mode, which only ResNets have. int8 needs `calibration`
    pictures, and fails where the rank correlation of its scores with float32's
    is below `least_srcc`.
    """

    precisions: Sequence[Precision] = ("fp32",)
    frames: Sequence[FrameSize | None] = ()
    scores: Sequence[FrameSize | None] = ()
    dense: Sequence[FrameSize | None] = ()
    calibration: CalibrationSet | None = None
    least_srcc: float = 0.99


@dataclass(frozen=True)
class _EncoderGraphs:
    """The encoder in one precision: `pictures` takes any size if it is a ResNet's, `views` views only.

    Where views are cut inside the graph, the shapes behind are static, and the engines know them.
    """

    pictures: onnx.ModelProto
    views: onnx.ModelProto


def export_image_graphs(
    checkpoint: Checkpoint,
    directory: Path,
    prompts: NDArray[np.float32],
    method: Method,
    plan: GraphPlan,
    report: Report,
) -> list[BundleFile]:
    """Write the encoder in every precision of the plan, and its frame and score graphs; all verified."""
    encoder = build_image_encoder(checkpoint.model, method.views)
    if plan.dense and not isinstance(encoder, ResNetEncoder):
        raise CheckpointError("dense frame graphs need a ResNet, whose trunk is convolutional")
    joined = bool(plan.frames or plan.scores)
    report("tracing the image encoder")
    graphs = {"fp32": _trace(encoder, method, joined=joined)}
    report("verifying the image encoder")
    files = [_write_encoder(directory, encoder, graphs["fp32"].pictures, method, "fp32")]
    host = HostPath(directory / files[0].path, method, prompts)
    if "fp16" in plan.precisions:
        report("converting the image encoder to half precision")
        graphs["fp16"], wide = _convert_to_half(graphs["fp32"], method)
        entry = _write_encoder(directory, encoder, graphs["fp16"].pictures, method, "fp16")
        files.append(replace(entry, float32_nodes=wide))
    if "int8" in plan.precisions:
        assert plan.calibration is not None
        report("quantising the image encoder")
        graphs["int8"] = _quantise(graphs["fp32"], plan.calibration, method, joined=joined)
        report("ranking degraded pictures with the INT8 encoder")
        path = directory / "image_encoder.int8.onnx"
        onnx.save(graphs["int8"].pictures, path)
        ranking = _rank(path, host, method, prompts, plan, graphs)
        files.append(describe_graph(path, "image_encoder", "int8", ranking=ranking))
    for precision in plan.precisions:
        if joined:
            report(f"joining frame and score graphs, {precision}")
            files += _join(directory, graphs[precision].views, host, prompts, plan, precision)
        for size in plan.dense:
            report(f"joining a dense frame graph, {precision}")
            graph = write_dense_graph(method.views, size, graphs[precision].pictures)
            path = directory / f"dense.{_name_size(size)}.{precision}.onnx"
            onnx.save(graph, path)
            check = verify_frame_graph(path, host.encode_dense, size, TOLERANCE[precision])
            files.append(describe_graph(path, "dense_frame_graph", precision, verification=check))
    work = _count_multiply_adds(encoder, method)
    return [
        replace(file, multiply_adds=work) if file.role == "image_encoder" else file
        for file in files
    ]


def _trace(encoder: nn.Module, method: Method, *, joined: bool) -> _EncoderGraphs:
    example = torch.from_numpy(draw_views(method.views, 2))
    if not isinstance(encoder, ResNetEncoder):
        graph = trace_graph(encoder, example, NAMES)
        return _EncoderGraphs(graph, graph)
    pictures = trace_graph(encoder, example, ("pixels", "features", "pictures"), cell=CELL)
    return _EncoderGraphs(pictures, trace_graph(encoder, example, NAMES) if joined else pictures)


def _convert_to_half(
    graphs: _EncoderGraphs, method: Method
) -> tuple[_EncoderGraphs, dict[str, str]]:
    measured_on = [draw_views(method.views, 3), draw_extremes(method.views)]
    pictures, wide = convert_to_half(graphs.pictures, measured_on)
    if graphs.views is graphs.pictures:
        return _EncoderGraphs(pictures, pictures), wide
    return _EncoderGraphs(pictures, convert_to_half(graphs.views, measured_on)[0]), wide


def _quantise(
    graphs: _EncoderGraphs, calibration: CalibrationSet, method: Method, *, joined: bool
) -> _EncoderGraphs:
    """Unsigned for the encoder, which the CPU runs; signed for frame graphs, which TensorRT builds."""
    batches = draw_calibration_views(calibration, method.views)
    pictures = quantise_graph(graphs.pictures, batches, "cpu")
    views = quantise_graph(graphs.views, batches, "tensorrt") if joined else pictures
    return _EncoderGraphs(pictures, views)


def _write_encoder(
    directory: Path,
    encoder: nn.Module,
    graph: onnx.ModelProto,
    method: Method,
    precision: Precision,
) -> BundleFile:
    path = directory / f"image_encoder.{precision}.onnx"
    onnx.save(graph, path)
    views = draw_views(method.views)
    cases = [views[:1], views]
    content = f"views of a synthetic scene, N = 1 and {len(views)}"
    if isinstance(encoder, ResNetEncoder):
        cases.append(draw_picture(method.views))
        content += ", and a picture of several windows"
    check = verify_graph(path, run_torch(encoder), cases, TOLERANCE[precision], content)
    return describe_graph(path, "image_encoder", precision, verification=check)


def _rank(
    path: Path,
    host: HostPath,
    method: Method,
    prompts: NDArray[np.float32],
    plan: GraphPlan,
    graphs: dict[str, _EncoderGraphs],
) -> Agreement:
    """Hold the INT8 encoder to the ranking of pictures that it was not calibrated on."""
    assert plan.calibration is not None
    narrow = HostPath(path, method, prompts)
    frames = list(degrade_ranked(plan.calibration))
    ranking = compare_rankings(
        [narrow.judge(frame)["score"] for frame in frames],
        [host.judge(frame)["score"] for frame in frames],
    )
    if not ranking.srcc >= plan.least_srcc:
        pixels = draw_calibration_views(plan.calibration, method.views)[0]
        layers = rank_layers(graphs["fp32"].pictures, graphs["int8"].pictures, pixels)[:5]
        names = ", ".join(f"{layer.weight} ({layer.gain:+.1e})" for layer in layers)
        raise VerificationError(
            f"INT8 scores rank {ranking.pictures} degraded pictures with SRCC {ranking.srcc:.4f} to "
            f"float32's, less than {plan.least_srcc}; nothing was written. Layers that hurt most (error "
            f"of the features each adds): {names}. Give more or other --calibration pictures"
        )
    return ranking


def _join(
    directory: Path,
    encoder: onnx.ModelProto,
    host: HostPath,
    prompts: NDArray[np.float32],
    plan: GraphPlan,
    precision: Precision,
) -> list[BundleFile]:
    """Frame and score graphs of one precision."""
    method = host.method
    head = write_head_graph(prompts, method.logit_scale, method.head)
    files = []
    for size in plan.frames:
        # A graph for any size works a frame off in chunks; one for a camera takes it at once.
        front = write_views_graph(method.views, size, chunked=size is None)
        path = directory / f"frame.{_name_size(size)}.{precision}.onnx"
        onnx.save(chain_graphs(front, encoder), path)
        check = verify_frame_graph(path, host.encode, size, TOLERANCE[precision])
        files.append(describe_graph(path, "frame_graph", precision, verification=check))
    for size in plan.scores:
        front = write_views_graph(method.views, size, chunked=False)
        path = directory / f"score.{_name_size(size)}.{precision}.onnx"
        onnx.save(chain_graphs(front, encoder, head), path)
        check = verify_score_graph(path, host, size, precision)
        files.append(describe_graph(path, "score_graph", precision, verification=check))
    return files


def _name_size(size: FrameSize | None) -> str:
    return "any" if size is None else f"{size[0]}x{size[1]}"


def _count_multiply_adds(encoder: nn.Module, method: Method) -> int:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        encoder(torch.from_numpy(draw_views(method.views, 1)))
    return int(counter.get_total_flops()) // 2  # it counts products and sums
