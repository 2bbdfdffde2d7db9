"""The views of a frame as a graph (section 1 of the method), in front of the encoder's.

Windows are gathered in square blocks of gcd(S, T) pixels (32 for S = 224, T = 128): a window is 7 x 7
whole blocks and takes 49 indices, not 50176, which keeps graphs small where indices are constants.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnx_ir as ir

from maclip_export.graphs.building import (
    OpBuilder,
    declare_input,
    write_constant,
    write_graph,
)
from maclip_export.graphs.pixel_formats import declare_frame, write_rgb_frame
from maclip_export.graphs.pixels import write_global_view, write_normalisation
from maclip_export.vocabulary import FrameSize
from maclip_runtime.bundle.manifest import VideoColour
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.vocabulary import GraphPixelFormat


def write_views_graph(
    geometry: ViewGeometry,
    frame_size: FrameSize | None,
    *,
    chunked: bool,
    pixel_format: GraphPixelFormat = "rgb24",
    colour: VideoColour | None = None,
) -> onnx.ModelProto:
    """frame uint8, [H, W, 3] or of another format, to pixels float32 [V, 3, S, S]; H and W at least S.

    `frame_size` folds every index into a constant; None takes any size. `chunked` adds the input
    `views` int64 [N], the indices of the views to cut, the last view V - 1 being the global one: so a
    frame on the device is worked off in portions, in bounded memory.
    """
    inputs = [declare_frame(frame_size, pixel_format)]
    if chunked:
        inputs.append(declare_input("views", ir.DataType.INT64, ["views"]))

    def write(op: OpBuilder, frame: ir.Value, views: ir.Value | None = None) -> dict[str, ir.Value]:
        rgb = write_rgb_frame(op, frame, pixel_format, colour)
        image, height, width = rgb.image, rgb.height, rgb.width
        rows = op.Add(op.Div(op.Sub(height, [geometry.size]), [geometry.stride]), [1])
        columns = op.Add(op.Div(op.Sub(width, [geometry.size]), [geometry.stride]), [1])
        last = op.Mul(rows, columns)
        whole = write_global_view(op, image, height, width, geometry.size)
        if views is None:
            zero, one = write_constant(op, 0, np.int64), write_constant(op, 1, np.int64)
            windows = op.Range(zero, op.Squeeze(last), one)
            cut = _write_windows(op, image, windows, rows, columns, geometry)
            raw = op.Concat(cut, whole, axis=0)
        else:
            # The global view's index cuts the last window in its place; Where puts that right.
            windows = op.Min(views, op.Sub(last, [1]))
            cut = _write_windows(op, image, windows, rows, columns, geometry)
            raw = op.Where(op.Unsqueeze(op.Equal(views, last), [1, 2, 3]), whole, cut)
        return {"pixels": write_normalisation(op, raw, geometry)}

    return write_graph("views", inputs, write)


def _write_windows(
    op: OpBuilder,
    image: ir.Value,
    windows: ir.Value,
    rows: ir.Value,
    columns: ir.Value,
    geometry: ViewGeometry,
) -> ir.Value:
    """image [H, W, 3] and window indices int64 [N], row by row, to raw pixels [N, 3, S, S]."""
    block = math.gcd(geometry.size, geometry.stride)
    side, step = geometry.size // block, geometry.stride // block  # of a window, in blocks
    block_rows = op.Add(op.Mul(op.Sub(rows, [1]), [step]), [side])
    block_columns = op.Add(op.Mul(op.Sub(columns, [1]), [step]), [side])
    covered = op.Concat(op.Mul(block_rows, [block]), op.Mul(block_columns, [block]), axis=0)
    seen = op.Slice(image, [0, 0], covered, [0, 1])
    seen = op.Reshape(seen, op.Concat(block_rows, [block], block_columns, [block * 3], axis=0))
    blocks = op.Reshape(op.Transpose(seen, perm=[0, 2, 1, 3]), [-1, block * block * 3])

    top = op.Div(windows, columns)
    left = op.Sub(windows, op.Mul(top, columns))
    first = op.Mul(op.Add(op.Mul(top, block_columns), left), [step])  # [N]
    grid = np.arange(side)
    below = op.Mul(write_constant(op, grid[:, None], np.int64), block_columns)
    inside = op.Add(below, write_constant(op, grid[None], np.int64))
    index = op.Add(op.Unsqueeze(first, [1, 2]), op.Unsqueeze(inside, [0]))  # [N, side, side]
    found = op.Reshape(op.Gather(blocks, index, axis=0), [-1, side, side, block, block, 3])
    channels_first = op.Transpose(found, perm=[0, 5, 1, 3, 2, 4])
    return op.Reshape(channels_first, [-1, 3, geometry.size, geometry.size])
