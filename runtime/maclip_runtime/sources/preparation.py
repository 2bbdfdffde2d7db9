"""Frames brought to the size at which they are scored: presets, and small pictures enlarged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from PIL import Image

from maclip_runtime.device_frames import DeviceFrame, is_on_device, take_device_frame
from maclip_runtime.errors import PictureError, refuse_unknown
from maclip_runtime.method.pixels import Frame
from maclip_runtime.pixel_formats import measure_frame, show_shape
from maclip_runtime.sources.pictures import (
    DECODING_BYTES,
    HostPicture,
    Picture,
    describe_picture,
    read_frame,
)
from maclip_runtime.vocabulary import PRESETS, GraphPixelFormat, Preset

# Resizing holds up to five pictures at a time, Pillow's weights 32 bytes for every column.
_RESIZED_PIXELS = 40_000_000
_RESIZED_COLUMNS = 2_000_000


@dataclass(frozen=True)
class PreparedFrame:
    """A frame ready for its views, and the size of the picture it came from.

    `enlarged`: the frame was smaller than a view on a side and was enlarged, which is out of the
    published method.
    """

    frame: Frame | DeviceFrame
    width: int
    height: int
    enlarged: bool
    pixel_format: GraphPixelFormat = "rgb24"

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the frame, in pixels."""
        if self.pixel_format != "rgb24":
            return self.height, self.width
        return self.frame.shape[0], self.frame.shape[1]

    @property
    def pixels(self) -> Frame:
        """The frame of a picture that is known to be in the host's memory."""
        assert not isinstance(self.frame, DeviceFrame)
        return self.frame

    def without_pixels(self) -> PreparedFrame:
        """The same with a frame of that shape that holds no memory: what a score's making needs."""
        return replace(self, frame=np.broadcast_to(np.uint8(0), self.frame.shape))


def prepare_frame(
    picture: Picture,
    preset: Preset,
    view_size: int,
    *,
    exif_orientation: bool = False,
    make_room: Callable[[int], None] = lambda _: None,
) -> PreparedFrame:
    """Read a picture and bring it to the preset's size, at least `view_size` on each side.

    Takes a path, a PIL image, or a uint8 RGB array `[H, W, 3]`; one on a GPU stays there, and is taken at
    its own size only. Raises PictureError if it cannot be
    read or scored, UsageError for an unknown preset. make_room: called with the bytes that all of this will
    take at most, up to DECODING_BYTES, before it begins.
    """
    refuse_unknown("preset", preset, PRESETS)
    if is_on_device(picture):
        return _prepare_on_device(take_device_frame(picture), preset, view_size)

    def make_room_for_all(decoding: int, width: int, height: int) -> None:
        make_room(max(decoding, _estimate_resizing(width, height, preset, view_size)))

    frame = read_frame(
        cast(HostPicture, picture), exif_orientation=exif_orientation, make_room=make_room_for_all
    )
    height, width = frame.shape[:2]
    if preset != "native":
        side = int(preset)
        frame = _resize(frame, side, side, describe_picture(picture))
    enlarged = min(frame.shape[:2]) < view_size
    if enlarged:
        frame = _enlarge(frame, view_size, describe_picture(picture))
    return PreparedFrame(frame, width, height, enlarged)


def take_frame(frame: Picture, pixel_format: GraphPixelFormat) -> PreparedFrame:
    """A frame of another pixel format than RGB, as it is; PictureError unless it is an array of one."""
    sides = None
    if isinstance(frame, np.ndarray) and frame.dtype == np.uint8:
        sides = measure_frame(frame.shape, pixel_format)
    if sides is None:
        raise PictureError(
            describe_picture(frame),
            f"is no {pixel_format} frame",
            f"frames are arrays uint8 {show_shape(pixel_format)}",
        )
    assert isinstance(frame, np.ndarray)
    height, width = sides
    return PreparedFrame(frame, width, height, enlarged=False, pixel_format=pixel_format)


def _prepare_on_device(frame: DeviceFrame, preset: Preset, view_size: int) -> PreparedFrame:
    height, width = frame.shape[:2]
    if preset != "native" or min(height, width) < view_size:
        raise PictureError(
            str(frame),
            "an array on a GPU is not resized: it is scored at its own size, at least "
            f"{view_size} x {view_size}",
            "resize it there, or copy it to the host",
        )
    return PreparedFrame(frame, width, height, enlarged=False)


def _estimate_resizing(width: int, height: int, preset: Preset, view_size: int) -> int:
    """Bytes that resizing a picture takes at most, whichever side its EXIF tag calls the width.

    Of the picture and of the result there are the frame and Pillow's image, 7 bytes a pixel, and between
    them the picture with its columns resized, 4.
    """
    if preset != "native":
        new_width = new_height = int(preset)
    elif min(width, height) < view_size:
        new_width, new_height = _enlarge_size(width, height, view_size)
    else:
        return 0
    between = max(width, height, new_height) * new_width
    taken = 7 * width * height + 4 * between + 7 * new_width * new_height
    return min(taken, DECODING_BYTES)


def _resize(frame: Frame, width: int, height: int, name: str) -> Frame:
    """Pillow's bicubic resize. It resizes the columns of every row first, then the rows."""
    rows, columns = frame.shape[:2]
    if max(rows, height) * width > _RESIZED_PIXELS or columns > _RESIZED_COLUMNS:
        raise PictureError(
            name,
            f"{columns} x {rows} is too narrow: resized to {width} x {height}, it would take more "
            "memory than a picture may",
            "crop it first",
        )
    image = Image.fromarray(frame)
    return read_frame(image.resize((width, height), Image.Resampling.BICUBIC))


def _enlarge(frame: Frame, short_side: int, name: str) -> Frame:
    """Scale a frame up, aspect kept, until its shorter side is `short_side`."""
    height, width = frame.shape[:2]
    return _resize(frame, *_enlarge_size(width, height, short_side), name)


def _enlarge_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    factor = short_side / min(height, width)
    return max(short_side, round(width * factor)), max(short_side, round(height * factor))
