"""Dense mode as a graph: neighbouring windows encoded as one picture, and the global view."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from maclip_export.graphs.building import (
    FLOAT,
    OpBuilder,
    declare_input,
    write_constant,
    write_graph,
)
from maclip_export.graphs.joining import chain_graphs
from maclip_export.graphs.pixels import write_global_view, write_normalisation
from maclip_export.vocabulary import FrameSize
from maclip_runtime.method.geometry import BLOCK_SIDE, ViewGeometry


def write_dense_graph(
    geometry: ViewGeometry,
    frame_size: FrameSize | None,
    encoder: onnx.ModelProto,
    *,
    chunked: bool,
) -> onnx.ModelProto:
    """frame uint8 [H, W, 3] to features float32 [V, D], neighbouring windows encoded together.

    encoder: a ResNet's graph for pictures of any size. It runs twice with one copy of its weights, on a
    block of windows as one picture, and on the global view. The block is all that windows cover, so
    that memory grows with the frame; or, `chunked`, one of at most BLOCK_SIDE windows a side: the one that
    the first of the input `views` int64 [N] is in, and all others must be; features are theirs, [N, D].
    All blocks of a frame have one size, which follows from the frame's (`divide_alike`).
    """
    frame = declare_input("frame", ir.DataType.UINT8, [*(frame_size or ("height", "width")), 3])
    inputs = [frame]
    if chunked:
        inputs.append(declare_input("views", ir.DataType.INT64, ["views"]))

    def write_front(
        op: OpBuilder, frame: ir.Value, views: ir.Value | None = None
    ) -> dict[str, ir.Value]:
        image = op.Cast(frame, to=FLOAT)
        height, width = op.Shape(image, start=0, end=1), op.Shape(image, start=1, end=2)
        rows, columns = (
            op.Add(op.Div(op.Sub(side, [geometry.size]), [geometry.stride]), [1])
            for side in (height, width)
        )
        places = {}
        if views is None:
            covered = op.Concat(*(_measure(op, n, geometry) for n in (rows, columns)), axis=0)
            seen = op.Slice(image, [0, 0], covered, [0, 1])
        else:
            seen, place = _write_block(op, image, views, rows, columns, geometry)
            places["places"] = place
        block = write_normalisation(
            op, op.Unsqueeze(op.Transpose(seen, perm=[2, 0, 1]), [0]), geometry
        )
        whole = write_global_view(op, image, height, width, geometry.size)
        return {"block": block, "whole": write_normalisation(op, whole, geometry), **places}

    def write_back(
        op: OpBuilder, windows: ir.Value, view: ir.Value, places: ir.Value | None = None
    ) -> dict[str, ir.Value]:
        features = op.Concat(windows, view, axis=0)
        return {"features": features if places is None else op.Gather(features, places, axis=0)}

    channels = encoder.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    found = [
        declare_input("windows", ir.DataType.FLOAT, ["rows", channels]),
        declare_input("view", ir.DataType.FLOAT, [1, channels]),
    ]
    if chunked:
        found.append(declare_input("places", ir.DataType.INT64, ["views"]))
    front = write_graph("front", inputs, write_front)
    back = write_graph("back", found, write_back)
    runs = (("block", "windows"), ("whole", "view"))
    return chain_graphs(front, *(_rename_ends(encoder, *names) for names in runs), back)


def _write_block(
    op: OpBuilder,
    image: ir.Value,
    views: ir.Value,
    rows: ir.Value,
    columns: ir.Value,
    geometry: ViewGeometry,
) -> tuple[ir.Value, ir.Value]:
    """The pixels [h, w, 3] of the block that views [N] are in, and their places [N] in its features.

    The global view's index is that of no window: it is taken for the last one's, and its features come
    behind those of all windows of the block.
    """
    last = op.Mul(rows, columns)
    windows = op.Min(views, op.Sub(last, [1]))
    row = op.Div(windows, columns)
    column = op.Sub(windows, op.Mul(row, columns))
    seen, inside, lengths = image, [], []
    for axis, (count, window) in enumerate(((rows, row), (columns, column))):
        blocks = op.Div(op.Add(count, [BLOCK_SIDE - 1]), [BLOCK_SIDE])
        length = op.Div(op.Add(count, op.Sub(blocks, [1])), blocks)
        # The last block that begins at or before the first of the windows.
        first = op.Gather(window, [0], axis=0)
        number = op.Div(op.Sub(op.Mul(op.Add(first, [1]), blocks), [1]), count)
        start = op.Div(op.Mul(count, number), blocks)
        # Where a block begins is data, and TensorRT slices at what it knows from shapes alone: so pixels
        # are gathered. The constant bounds the block, and with it the memory, for any frame.
        longest = np.arange((BLOCK_SIDE - 1) * geometry.stride + geometry.size)
        pixels = op.Slice(
            write_constant(op, longest, np.int64), [0], _measure(op, length, geometry), [0]
        )
        seen = op.Gather(seen, op.Add(pixels, op.Mul(start, [geometry.stride])), axis=axis)
        inside.append(op.Sub(window, start))
        lengths.append(length)
    place = op.Add(op.Mul(inside[0], lengths[1]), inside[1])
    return seen, op.Where(op.Equal(views, last), op.Mul(*lengths), place)


def _measure(op: OpBuilder, count: ir.Value, geometry: ViewGeometry) -> ir.Value:
    """Pixels that `count` neighbouring windows cover, along one axis."""
    return op.Add(op.Mul(op.Sub(count, [1]), [geometry.stride]), [geometry.size])


def _rename_ends(encoder: onnx.ModelProto, source: str, target: str) -> onnx.ModelProto:
    """A copy of an encoder graph whose input and output have other names."""
    copy = ir.from_proto(encoder)
    copy.graph.inputs[0].name, copy.graph.outputs[0].name = source, target
    return ir.to_proto(copy)
