"""Dense mode as a graph: all that windows cover encoded as one picture, and the global view."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from maclip_export.graphs.building import FLOAT, OpBuilder, declare_input, write_graph
from maclip_export.graphs.joining import chain_graphs
from maclip_export.graphs.pixels import write_global_view, write_normalisation
from maclip_export.vocabulary import FrameSize
from maclip_runtime.method.geometry import ViewGeometry


def write_dense_graph(
    geometry: ViewGeometry, frame_size: FrameSize | None, encoder: onnx.ModelProto
) -> onnx.ModelProto:
    """frame uint8 [H, W, 3] to features float32 [V, D], neighbouring windows encoded together.

    encoder: a ResNet's graph for pictures of any size. It runs twice with one copy of its weights, on
    all that windows cover as one picture, and on the global view; so memory grows with the frame.
    """
    frame = declare_input("frame", ir.DataType.UINT8, [*(frame_size or ("height", "width")), 3])

    def write_front(op: OpBuilder, frame: ir.Value) -> dict[str, ir.Value]:
        image = op.Cast(frame, to=FLOAT)
        height, width = op.Shape(image, start=0, end=1), op.Shape(image, start=1, end=2)
        sides = op.Concat(height, width, axis=0)
        steps = op.Div(op.Sub(sides, [geometry.size]), [geometry.stride])
        covered = op.Add(op.Mul(steps, [geometry.stride]), [geometry.size])
        seen = op.Transpose(op.Slice(image, [0, 0], covered, [0, 1]), perm=[2, 0, 1])
        whole = write_global_view(op, image, height, width, geometry.size)
        return {
            "covered": write_normalisation(op, op.Unsqueeze(seen, [0]), geometry),
            "whole": write_normalisation(op, whole, geometry),
        }

    def write_back(op: OpBuilder, windows: ir.Value, view: ir.Value) -> dict[str, ir.Value]:
        return {"features": op.Concat(windows, view, axis=0)}

    channels = encoder.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    windows = declare_input("windows", ir.DataType.FLOAT, ["rows", channels])
    view = declare_input("view", ir.DataType.FLOAT, [1, channels])
    front = write_graph("front", [frame], write_front)
    back = write_graph("back", [windows, view], write_back)
    runs = (("covered", "windows"), ("whole", "view"))
    return chain_graphs(front, *(_rename_ends(encoder, *names) for names in runs), back)


def _rename_ends(encoder: onnx.ModelProto, source: str, target: str) -> onnx.ModelProto:
    """A copy of an encoder graph whose input and output have other names."""
    copy = ir.from_proto(encoder)
    copy.graph.inputs[0].name, copy.graph.outputs[0].name = source, target
    return ir.to_proto(copy)
