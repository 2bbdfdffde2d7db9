"""Export: from a checkpoint to a bundle, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from maclip_export.checkpoints import Checkpoint
from maclip_export.encoders import TextEncoder, build_image_encoder
from maclip_export.frame_graphs import (
    FrameSize,
    chain_graphs,
    write_head_graph,
    write_views_graph,
)
from maclip_export.graphs import export_graph, read_signature
from maclip_export.half import convert_to_half
from maclip_export.prompts import embed_prompts, tokenize
from maclip_export.verification import (
    TOLERANCE,
    HostPath,
    draw_extremes,
    draw_views,
    run_torch,
    verify_frame_graph,
    verify_graph,
    verify_score_graph,
)
from maclip_runtime.bundle import (
    Bundle,
    describe_file,
    open_bundle,
    stage_bundle,
    write_manifest,
    write_prompts,
)
from maclip_runtime.head import HeadConstants
from maclip_runtime.manifest import (
    BundleFile,
    FileKind,
    Manifest,
    Method,
    Precision,
    PromptPair,
    Verification,
)
from maclip_runtime.version import __version__

Report = Callable[[str], None]
# Frame sizes of graphs; None stands for a graph that takes any size.
FrameSizes = Sequence[FrameSize | None]


def export_bundle(
    checkpoint: Checkpoint,
    destination: Path,
    prompts: tuple[PromptPair, ...],
    *,
    precisions: Sequence[Precision] = ("fp32",),
    frames: FrameSizes = (),
    scores: FrameSizes = (),
    text_encoder: bool = True,
    replace_existing: bool = False,
    report: Report = lambda step: None,
) -> Bundle:
    """Write the bundle of a checkpoint to `destination`, every graph verified.

    precisions: of the image encoder, and of the frame and score graphs made with it; fp32 is always
    among them, as the one the others are held against. frames, scores: sizes to make frame graphs and
    score graphs for. text_encoder: also put the text graph in, which `maclip prompts` needs to change
    prompts later. report: called with the name of each step as it begins. Raises BundleError if the
    destination exists (and is not to be replaced), VerificationError if a graph is not right; nothing
    is left behind then.
    """
    encode_text = TextEncoder(checkpoint.model).eval()
    context_length = checkpoint.model.context_length
    method = Method(checkpoint.views, float(checkpoint.model.logit_scale), HeadConstants())
    texts = [text for pair in prompts for text in (pair.good, pair.bad)]
    with stage_bundle(destination, replace=replace_existing) as directory:
        report("embedding the prompts")
        embeddings = embed_prompts(prompts, run_torch(encode_text), context_length)
        files = [write_prompts(directory, embeddings)]
        if text_encoder:
            tokens = tokenize(texts, context_length)
            names = ("tokens", "embeddings", "texts")
            content = "the bundle's prompts"
            files.append(
                _export_module(
                    directory, "text_encoder", encode_text, tokens, names, content, report
                )
            )
        files += _export_image_graphs(
            checkpoint, directory, embeddings, method, precisions, frames, scores, report
        )
        write_manifest(
            directory,
            Manifest(
                created_by=f"maclip-edge {__version__}, torch {torch.__version__}",
                weights=checkpoint.weights,
                architecture=checkpoint.architecture,
                method=method,
                prompts=prompts,
                files=tuple(files),
            ),
        )
    return open_bundle(destination)


def _export_module(
    directory: Path,
    kind: FileKind,
    module: nn.Module,
    inputs: NDArray[np.generic],
    names: tuple[str, str, str],
    content: str,
    report: Report,
) -> BundleFile:
    """Trace and verify an encoder on `inputs`; `names`: its input, its output, their first axis."""
    path = directory / f"{kind}.fp32.onnx"
    title = kind.replace("_", " ")
    report(f"tracing the {title}")
    export_graph(module, torch.from_numpy(inputs[:2]), path, names)
    report(f"verifying the {title}")
    batches = (1, len(inputs))
    check = verify_graph(path, run_torch(module), inputs, batches, TOLERANCE["fp32"], content)
    return _describe_graph(path, kind, "fp32", check)


def _export_image_graphs(
    checkpoint: Checkpoint,
    directory: Path,
    embeddings: NDArray[np.float32],
    method: Method,
    precisions: Sequence[Precision],
    frames: FrameSizes,
    scores: FrameSizes,
    report: Report,
) -> list[BundleFile]:
    """The image encoder in every precision, and the frame and score graphs made with each."""
    encoder = build_image_encoder(checkpoint.model)
    views = draw_views(method.views)
    names = ("pixels", "features", "views")
    content = "views of a synthetic scene"
    files = [_export_module(directory, "image_encoder", encoder, views, names, content, report)]
    full = directory / files[0].path
    graphs = {"fp32": onnx.load(full)}
    if "fp16" in precisions:
        report("converting the image encoder to half precision")
        extremes = draw_extremes(method.views)
        half, wide = convert_to_half(graphs["fp32"], [views[-3:], extremes])
        path = directory / "image_encoder.fp16.onnx"
        onnx.save(half, path)
        check = verify_graph(
            path, run_torch(encoder), views, (1, len(views)), TOLERANCE["fp16"], content
        )
        files.append(_describe_graph(path, "image_encoder", "fp16", check, wide))
        graphs["fp16"] = half

    host = HostPath(full, method, embeddings)
    head = write_head_graph(embeddings, method.logit_scale, method.head)
    for precision in (p for p in ("fp32", "fp16") if p in precisions):
        for size in frames:
            report(f"joining the {_name_size(size)} frame graph, {precision}")
            # A graph for any size works a frame off in chunks; one for a camera takes it at once.
            front = write_views_graph(method.views, size, chunked=size is None)
            path = directory / f"frame.{_name_size(size)}.{precision}.onnx"
            onnx.save(chain_graphs(front, graphs[precision]), path)
            check = verify_frame_graph(path, host, size, TOLERANCE[precision])
            files.append(_describe_graph(path, "frame", precision, check))
        for size in scores:
            report(f"joining the {_name_size(size)} score graph, {precision}")
            front = write_views_graph(method.views, size, chunked=False)
            path = directory / f"score.{_name_size(size)}.{precision}.onnx"
            onnx.save(chain_graphs(front, graphs[precision], head), path)
            check = verify_score_graph(path, host, size, precision)
            files.append(_describe_graph(path, "score", precision, check))
    return files


def _name_size(size: FrameSize | None) -> str:
    return "any" if size is None else f"{size[0]}x{size[1]}"


def _describe_graph(
    path: Path,
    kind: FileKind,
    precision: Precision,
    verification: Verification,
    wide_nodes: dict[str, str] | None = None,
) -> BundleFile:
    inputs, outputs = read_signature(path)
    return describe_file(
        path,
        kind,
        precision=precision,
        inputs=inputs,
        outputs=outputs,
        verification=verification,
        wide_nodes=wide_nodes or {},
    )
