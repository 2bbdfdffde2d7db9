"""The frames that graphs take, in each pixel format: what shape they have, and what size a shape means.

rgb24, bgr24   [H, W, 3]
rgba           [H, W, 4]          alpha is not premultiplied
nv12           [H * 3 / 2, W]     H rows of luma, then H / 2 of (blue, red) chroma pairs; H and W even
"""

from __future__ import annotations

from collections.abc import Sequence

from maclip_runtime.bundle.manifest import Shape, Tensor
from maclip_runtime.errors import UsageError
from maclip_runtime.vocabulary import GraphPixelFormat

_CHANNELS: dict[GraphPixelFormat, int] = {"rgb24": 3, "bgr24": 3, "rgba": 4}


def shape_frame(height: int, width: int, pixel_format: GraphPixelFormat) -> Shape:
    """The array's shape of a frame of `height` x `width` pixels; UsageError for nv12 of an odd side."""
    if pixel_format != "nv12":
        return (height, width, _CHANNELS[pixel_format])
    if height % 2 or width % 2:
        raise UsageError(
            f"nv12 frames of {height} x {width}: a graph takes even sides only",
            "crop the frame by a row or column, or convert it to RGB",
        )
    return (height * 3 // 2, width)


def measure_frame(shape: Sequence[int], pixel_format: GraphPixelFormat) -> tuple[int, int] | None:
    """Height and width of the frame that an array of this shape holds; None if it holds none."""
    if pixel_format == "nv12":
        if len(shape) != 2 or shape[0] % 3 or shape[1] % 2:
            return None
        return shape[0] // 3 * 2, shape[1]
    if len(shape) != 3 or shape[2] != _CHANNELS[pixel_format]:
        return None
    return shape[0], shape[1]


def show_shape(pixel_format: GraphPixelFormat) -> str:
    """The shape of frames of a format, for messages."""
    if pixel_format == "nv12":
        return "[H * 3 / 2, W], H and W even"
    return f"[H, W, {_CHANNELS[pixel_format]}]"


def describe_frame(pixel_format: GraphPixelFormat) -> Tensor:
    """The input `frame` of a graph that takes frames of any size."""
    if pixel_format == "nv12":
        return Tensor("uint8", ("rows", "width"))
    return Tensor("uint8", ("height", "width", _CHANNELS[pixel_format]))
