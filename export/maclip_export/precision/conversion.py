"""The image encoder's float32 graphs in the other precisions."""

from __future__ import annotations

from maclip_export.graphs.encoder import EncoderGraphs
from maclip_export.precision.half import convert_to_half
from maclip_export.precision.int8 import quantise_graph
from maclip_export.quality.calibration import CalibrationSet, draw_calibration_views
from maclip_export.scenes import draw_extremes, draw_views
from maclip_runtime.method.geometry import ViewGeometry


def convert_encoder_to_half(graphs: EncoderGraphs, geometry: ViewGeometry) -> EncoderGraphs:
    """The encoder in half precision, measured on synthetic views and on extreme ones."""
    measured_on = [draw_views(geometry, 3), draw_extremes(geometry)]
    pictures, float32_nodes = convert_to_half(graphs.pictures, measured_on)
    if graphs.views is graphs.pictures:
        return EncoderGraphs(pictures, pictures, float32_nodes)
    return EncoderGraphs(pictures, convert_to_half(graphs.views, measured_on)[0], float32_nodes)


def quantise_encoder(
    graphs: EncoderGraphs,
    calibration: CalibrationSet,
    geometry: ViewGeometry,
    *,
    takes_frames: bool,
) -> EncoderGraphs:
    """Unsigned for the encoder, which the CPU runs; signed for frame graphs, which TensorRT builds.

    takes_frames: views will be cut inside graphs; without that, there is only the first form.
    """
    batches = draw_calibration_views(calibration, geometry)
    pictures = quantise_graph(graphs.pictures, batches, "cpu")
    if not takes_frames:
        return EncoderGraphs(pictures, pictures)
    return EncoderGraphs(pictures, quantise_graph(graphs.views, batches, "tensorrt"))
