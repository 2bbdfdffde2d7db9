"""The image encoder's float32 graphs in the other precisions."""

from __future__ import annotations

import onnx

from maclip_export.graphs.encoder import EncoderGraphs
from maclip_export.precision.half import convert_to_half
from maclip_export.precision.int8 import quantise_graph
from maclip_export.quality.calibration import CalibrationSet, draw_calibration_views
from maclip_export.scenes import draw_extremes, draw_views
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Pixels


def convert_encoder_to_half(graphs: EncoderGraphs, geometry: ViewGeometry) -> EncoderGraphs:
    """The encoder in half precision, measured on synthetic views and on extreme ones."""
    measured_on = _draw_measured(geometry)
    pictures, float32_nodes = convert_to_half(graphs.pictures, measured_on)
    views = pictures
    if graphs.views is not graphs.pictures:
        views = convert_to_half(graphs.views, measured_on)[0]
    return EncoderGraphs(pictures, views, pictures, float32_nodes)


def quantise_encoder(
    graphs: EncoderGraphs,
    calibration: CalibrationSet,
    geometry: ViewGeometry,
    *,
    takes_views: bool,
    takes_blocks: bool,
) -> EncoderGraphs:
    """Unsigned for the encoder, which the CPU runs; for graphs that TensorRT builds signed, the rest half.

    takes_views, takes_blocks: it will be part of frame or score graphs, and of dense ones.
    """
    batches = draw_calibration_views(calibration, geometry)
    pictures = views = blocks = quantise_graph(graphs.pictures, batches, "cpu")
    if takes_views:
        views = _quantise_for_tensorrt(graphs.views, batches, geometry)
    if takes_blocks:
        shared = takes_views and graphs.blocks is graphs.views
        blocks = views if shared else _quantise_for_tensorrt(graphs.blocks, batches, geometry)
    return EncoderGraphs(pictures, views, blocks)


def _quantise_for_tensorrt(
    graph: onnx.ModelProto, batches: list[Pixels], geometry: ViewGeometry
) -> onnx.ModelProto:
    quantised = quantise_graph(graph, batches, "tensorrt")
    return convert_to_half(quantised, _draw_measured(geometry))[0]


def _draw_measured(geometry: ViewGeometry) -> list[Pixels]:
    """What the ranges of activations are measured on for half precision."""
    return [draw_views(geometry, 3), draw_extremes(geometry)]
