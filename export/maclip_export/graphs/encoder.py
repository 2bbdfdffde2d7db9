"""The image encoder's graphs, traced from torch: one for pictures, one for views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx
import torch
from torch import nn

from maclip_export.encoders.resnet import CELL, ResNetEncoder
from maclip_export.graphs.tracing import trace_graph
from maclip_export.scenes import draw_views
from maclip_runtime.method.geometry import ViewGeometry


@dataclass(frozen=True)
class EncoderGraphs:
    """The encoder in one precision, in the three forms that graphs hold.

    pictures: by itself; takes any size if it is a ResNet's. views: in frame and score graphs, where views
    are cut inside the graph, so that the shapes behind are static, and the engines know them. blocks: in
    dense frame graphs, for pictures of any size. In INT8 the last two are TensorRT's, the first the CPU's.
    float32_nodes: in half precision, the nodes of `pictures` that stay float32, with the reasons.
    """

    pictures: onnx.ModelProto
    views: onnx.ModelProto
    blocks: onnx.ModelProto
    float32_nodes: Mapping[str, str] = field(default_factory=dict)


def trace_encoder(
    encoder: nn.Module, geometry: ViewGeometry, *, takes_frames: bool
) -> EncoderGraphs:
    """The float32 graphs of an image encoder; pixels `[N, 3, S, S]` to features `[N, D]`.

    takes_frames: views will be cut inside graphs, so a ResNet is traced for views too.
    """
    example = torch.from_numpy(draw_views(geometry, 2))
    if not isinstance(encoder, ResNetEncoder):
        graph = trace_graph(encoder, example, ("pixels", "features", "views"))
        return EncoderGraphs(graph, graph, graph)
    pictures = trace_graph(encoder, example, ("pixels", "features", "pictures"), cell=CELL)
    if not takes_frames:
        return EncoderGraphs(pictures, pictures, pictures)
    views = trace_graph(encoder, example, ("pixels", "features", "views"))
    return EncoderGraphs(pictures, views, pictures)
