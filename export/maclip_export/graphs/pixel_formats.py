"""Frames of other pixel formats to RGB in a graph, to the bit as `sources/` converts them on the host.

All of it is arithmetic of integers in float32, which holds them exactly up to 2^24.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from maclip_export.graphs.building import FLOAT, OpBuilder, declare_input
from maclip_export.vocabulary import FrameSize
from maclip_runtime.bundle.manifest import VideoColour
from maclip_runtime.pixel_formats import describe_frame, shape_frame
from maclip_runtime.sources.colour import FRACTION_BITS, Term, list_terms
from maclip_runtime.vocabulary import GraphPixelFormat


@dataclass(frozen=True)
class RgbFrame:
    """A frame in a graph: RGB in 0..255, float32 [H, W, 3], and its sides, int64 [1] each."""

    image: ir.Value
    height: ir.Value
    width: ir.Value


def declare_frame(frame_size: FrameSize | None, pixel_format: GraphPixelFormat) -> ir.Value:
    """The input `frame` of a graph, uint8; `frame_size` None takes any size."""
    if frame_size is not None:
        return declare_input("frame", ir.DataType.UINT8, shape_frame(*frame_size, pixel_format))
    return declare_input("frame", ir.DataType.UINT8, describe_frame(pixel_format).shape)


def write_rgb_frame(
    op: OpBuilder, frame: ir.Value, pixel_format: GraphPixelFormat, colour: VideoColour | None
) -> RgbFrame:
    """The input `frame` as RGB. colour: of nv12, and of no other format."""
    # TensorRT wants the Cast to be the first to read the uint8 input.
    image = op.Cast(frame, to=FLOAT)
    rows, width = op.Shape(image, start=0, end=1), op.Shape(image, start=1, end=2)
    if pixel_format == "nv12":
        assert colour is not None
        height = op.Div(op.Mul(rows, [2]), [3])
        return RgbFrame(_convert_nv12(op, image, height, width, colour), height, width)
    if pixel_format == "rgba":
        image = _composite_on_white(op, image)
    elif pixel_format == "bgr24":
        image = op.Gather(image, [2, 1, 0], axis=2)
    return RgbFrame(image, rows, width)


def _composite_on_white(op: OpBuilder, image: ir.Value) -> ir.Value:
    """RGBA [H, W, 4] over white, rounded as Pillow's `alpha_composite` does (its `AlphaComposite.c`).

    Over an opaque backdrop its result is the rounded sum by a division by 255 in shifts, of 7 more bits.
    """
    colours, alpha = op.Slice(image, [0], [3], [2]), op.Slice(image, [3], [4], [2])
    white = op.Mul(op.Sub([255.0], alpha), [255.0])
    total = op.Add(op.Add(op.Mul(colours, alpha), white), [128.0])  # at most 2^16, times 128 exact
    halves = op.Floor(op.Mul(total, [0.5]))
    return op.Floor(op.Mul(op.Add(halves, op.Mul(total, [128.0])), [2.0**-15]))


def _convert_nv12(
    op: OpBuilder, image: ir.Value, height: ir.Value, width: ir.Value, colour: VideoColour
) -> ir.Value:
    """Rows of luma and of chroma [H * 3 / 2, W] to RGB [H, W, 3], each chroma pair for 2 x 2 pixels."""
    terms = list_terms(colour.matrix, colour.range)
    half_height, half_width = op.Div(height, [2]), op.Div(width, [2])
    luma = op.Slice(image, [0], height, [0])
    chroma = op.Slice(image, height, [np.iinfo(np.int64).max], [0])
    pairs = op.Reshape(chroma, op.Concat(half_height, half_width, [2], axis=0))
    blue, red = op.Slice(pairs, [0], [1], [2]), op.Slice(pairs, [1], [2], [2])
    green = op.Add(
        _write_term(op, blue, terms["green_from_blue"]),
        _write_term(op, red, terms["green_from_red"]),
    )
    added = op.Concat(
        _write_term(op, red, terms["red"]), green, _write_term(op, blue, terms["blue"]), axis=2
    )
    squares = op.Reshape(luma, op.Concat(half_height, [2], half_width, [2, 1], axis=0))
    sums = op.Add(_write_term(op, squares, terms["luma"]), op.Unsqueeze(added, [1, 3]))
    colours = op.Clip(op.Floor(op.Mul(sums, [2.0**-FRACTION_BITS])), 0.0, 255.0)
    return op.Reshape(colours, op.Concat(height, width, [3], axis=0))


def _write_term(op: OpBuilder, values: ir.Value, term: Term) -> ir.Value:
    """One term of values in 0..255, in 1/32.

    Float32 rounds to the same integer as float64: no product is nearer to a half than two of its steps.
    """
    rounded = op.Round(op.Mul(op.Sub(values, [float(term.zero)]), [term.gain]))
    return op.Add(rounded, [float(term.added)]) if term.added else rounded
