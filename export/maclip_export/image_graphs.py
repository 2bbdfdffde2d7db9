"""The image encoder's graphs: each row of a selection is written, verified and recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from maclip_export.checkpoints import Checkpoint
from maclip_export.encoders import build_image_encoder
from maclip_export.encoders.resnet import ResNetEncoder
from maclip_export.errors import VerificationError
from maclip_export.graphs.dense import write_dense_graph
from maclip_export.graphs.encoder import EncoderGraphs, trace_encoder
from maclip_export.graphs.entries import describe_graph, record_file
from maclip_export.graphs.head import write_head_graph
from maclip_export.graphs.joining import chain_graphs
from maclip_export.graphs.views import write_views_graph
from maclip_export.precision.conversion import convert_encoder_to_half, quantise_encoder
from maclip_export.precision.sensitivity import rank_layers
from maclip_export.quality.calibration import degrade_ranked, draw_calibration_views
from maclip_export.quality.rankings import compare_rankings
from maclip_export.scenes import draw_picture, draw_views
from maclip_export.selection import GraphRow, GraphSelection, list_graphs
from maclip_export.verification import (
    TOLERANCE,
    run_torch,
    score_frames,
    verify_frame_graph,
    verify_graph,
    verify_score_graph,
)
from maclip_export.vocabulary import Report
from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import Agreement, Manifest, Verification
from maclip_runtime.errors import Remedy
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.vocabulary import Precision, ViewMode

Encoders = dict[Precision, EncoderGraphs]
EncoderForm = Literal["pictures", "views", "blocks"]  # of `EncoderGraphs`


def export_image_graphs(
    checkpoint: Checkpoint, bundle: Bundle, selection: GraphSelection, report: Report
) -> Bundle:
    """Write the selected graphs into a staged bundle that has its prompts; all verified.

    Returns the bundle with the graphs in its manifest, which is not on disk yet.
    """
    method = bundle.manifest.method
    encoder = build_image_encoder(checkpoint.model, method.views)
    rows = list_graphs(selection, resnet=isinstance(encoder, ResNetEncoder))
    report("tracing the image encoder")
    work = _count_multiply_adds(encoder, method.views)
    encoders: Encoders = {
        "fp32": trace_encoder(encoder, method.views, takes_frames=selection.takes_frames)
    }
    prompts = bundle.load_prompts()
    agreements: dict[EncoderForm, Agreement] = {}
    references: dict[ViewMode, list[float]] = {}
    for row in rows:
        if row.precision not in encoders:
            encoders[row.precision] = _convert_encoder(
                encoders["fp32"], row.precision, selection, method.views, report
            )
        report(f"writing and verifying {row.path}")
        graphs = encoders[row.precision]
        path = bundle.path / row.path
        onnx.save(_write_graph(row, graphs, bundle.manifest, prompts), path)
        entry = describe_graph(
            path,
            row.role,
            row.precision,
            view_mode=row.view_mode,
            chunked=row.chunked,
            pixel_format=row.pixel_format,
            colour=row.colour,
        )
        if row.role == "image_encoder":
            entry = replace(entry, multiply_adds=work, float32_nodes=dict(graphs.float32_nodes))
        if row.reference != "ranking":
            check = _verify(row, record_file(bundle, entry), encoder)
            entry = replace(entry, verification=check)
        if row.precision == "int8":
            form = _name_form(row)
            if form not in agreements:
                report(f"ranking degraded pictures with {row.path}")
                agreements[form] = _verify_ranking(bundle, form, encoders, selection, references)
            entry = replace(entry, agreement=agreements[form])
        bundle = record_file(bundle, entry)
    return bundle


def _convert_encoder(
    graphs: EncoderGraphs,
    precision: Precision,
    selection: GraphSelection,
    geometry: ViewGeometry,
    report: Report,
) -> EncoderGraphs:
    """The float32 graphs in another precision."""
    if precision == "fp16":
        report("converting the image encoder to half precision")
        return convert_encoder_to_half(graphs, geometry)
    assert selection.calibration is not None  # GraphSelection sees to it
    report("quantising the image encoder")
    return quantise_encoder(
        graphs,
        selection.calibration,
        geometry,
        takes_views=selection.takes_frames,
        takes_blocks=bool(selection.dense),
    )


def _write_graph(
    row: GraphRow, graphs: EncoderGraphs, manifest: Manifest, prompts: NDArray[np.float32]
) -> onnx.ModelProto:
    """The graph of a row, the encoder's graphs in its precision being `graphs`."""
    method = manifest.method
    if row.role == "image_encoder":
        return graphs.pictures
    if row.role == "dense_frame_graph":
        return write_dense_graph(method.views, row.size, graphs.blocks, chunked=row.chunked)
    views = write_views_graph(
        method.views,
        row.size,
        chunked=row.chunked,
        pixel_format=row.pixel_format,
        colour=row.colour,
    )
    parts = [views, graphs.views]
    if row.role == "score_graph":
        head = write_head_graph(prompts, method.logit_scale, method.head, manifest.scored)
        parts.append(head)
    return chain_graphs(*parts)


def _verify(row: GraphRow, bundle: Bundle, encoder: nn.Module) -> Verification:
    """Hold the graph of a row, the last in the bundle's manifest, against the row's reference."""
    if row.reference == "module":
        return _verify_encoder(row, bundle, encoder)
    if row.reference == "features":
        return verify_frame_graph(bundle, row)
    return verify_score_graph(bundle, row)


def _verify_encoder(row: GraphRow, bundle: Bundle, encoder: nn.Module) -> Verification:
    """Hold an encoder graph against the torch module, on one view, several, and a whole picture."""
    geometry = bundle.manifest.method.views
    views = draw_views(geometry)
    cases = [views[:1], views]
    content = f"views of a synthetic scene, N = 1 and {len(views)}"
    if isinstance(encoder, ResNetEncoder):
        cases.append(draw_picture(geometry))
        content += ", and a picture of several windows"
    tolerance = TOLERANCE[row.precision]
    return verify_graph(bundle.path / row.path, run_torch(encoder), cases, tolerance, content)


def _name_form(row: GraphRow) -> EncoderForm:
    """Which of the encoder's forms the graph of a row holds."""
    if row.role == "image_encoder":
        return "pictures"
    return "blocks" if row.role == "dense_frame_graph" else "views"


def _verify_ranking(
    bundle: Bundle,
    form: EncoderForm,
    encoders: Encoders,
    selection: GraphSelection,
    references: dict[ViewMode, list[float]],
) -> Agreement:
    """Hold a form of the INT8 encoder to the ranking of degraded pictures that it was not calibrated on.

    Scored by the runtime in the form's view mode, with this form and with the float32 encoder, whose scores
    are kept in `references`: they take minutes.
    """
    assert selection.calibration is not None  # GraphSelection sees to it
    mode: ViewMode = "dense" if form == "blocks" else "exact"
    quantised = getattr(encoders["int8"], form)
    frames = list(degrade_ranked(selection.calibration))
    if mode not in references:
        float32 = bundle.find("image_encoder", "fp32")
        references[mode] = score_frames(bundle, float32, frames, mode)
    # By itself, whatever file it is part of: frame graphs of one size take no other pictures.
    path = bundle.path / "ranked.onnx"
    try:
        onnx.save(quantised, path)
        entry = describe_graph(path, "image_encoder", "int8", view_mode="exact")
        scores = score_frames(bundle, entry, frames, mode)
    finally:
        path.unlink()
    ranking = compare_rankings(scores, references[mode])
    if not ranking.srcc >= selection.least_srcc:
        pixels = draw_calibration_views(selection.calibration, bundle.manifest.method.views)[0]
        original = getattr(encoders["fp32"], form)
        names = ", ".join(
            f"{layer.weight} ({layer.gain:+.1e})"
            for layer in rank_layers(original, quantised, pixels)[:5]
        )
        engine = "the CPU's" if form == "pictures" else "TensorRT's"
        raise VerificationError(
            f"INT8 scores of {engine} graph rank {ranking.pictures} degraded pictures with SRCC "
            f"{ranking.srcc:.4f} to float32's, less than {selection.least_srcc}; nothing was written. "
            f"Layers that hurt most (error of the features each adds): {names}",
            Remedy(
                "give more or other pictures with {calibration}", settings={"calibration": None}
            ),
        )
    return ranking


def _count_multiply_adds(encoder: nn.Module, geometry: ViewGeometry) -> int:
    """Products of one view's encoding."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        encoder(torch.from_numpy(draw_views(geometry, 1)))
    return int(counter.get_total_flops()) // 2  # it counts products and sums
