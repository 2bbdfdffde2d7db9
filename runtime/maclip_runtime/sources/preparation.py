"""Frames brought to the size at which they are scored: presets, and small pictures enlarged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from maclip_runtime.errors import PictureError, refuse_unknown
from maclip_runtime.method.pixels import Frame
from maclip_runtime.sources.pictures import MAX_PIXELS, Picture, describe_picture, read_frame
from maclip_runtime.vocabulary import PRESETS, Preset


@dataclass(frozen=True)
class PreparedFrame:
    """A frame ready for its views, and the size of the picture it came from.

    `enlarged`: the frame was smaller than a view on a side and was enlarged, which is out of the
    published method.
    """

    frame: Frame
    width: int
    height: int
    enlarged: bool


def prepare_frame(
    picture: Picture, preset: Preset, view_size: int, *, exif_orientation: bool = False
) -> PreparedFrame:
    """Read a picture and bring it to the preset's size, at least `view_size` on each side.

    Takes a path, a PIL image, or a uint8 RGB array `[H, W, 3]`. Raises PictureError if it cannot be
    read or scored, UsageError for an unknown preset.
    """
    refuse_unknown("preset", preset, PRESETS)
    frame = read_frame(picture, exif_orientation=exif_orientation)
    height, width = frame.shape[:2]
    if preset != "native":
        side = int(preset)
        frame = _resize(frame, side, side)
    enlarged = min(frame.shape[:2]) < view_size
    if enlarged:
        frame = _enlarge(frame, view_size, describe_picture(picture))
    return PreparedFrame(frame, width, height, enlarged)


def _resize(frame: Frame, width: int, height: int) -> Frame:
    resized = Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def _enlarge(frame: Frame, short_side: int, name: str) -> Frame:
    """Scale a frame up, aspect kept, until its shorter side is `short_side`."""
    height, width = frame.shape[:2]
    factor = short_side / min(height, width)
    new_width = max(short_side, round(width * factor))
    new_height = max(short_side, round(height * factor))
    if new_width * new_height > MAX_PIXELS:
        raise PictureError(
            name,
            f"{width} x {height} is too narrow: enlarged to {short_side} pixels on its shorter side "
            f"it would have more than {MAX_PIXELS // 1_000_000} megapixels",
            "crop it first",
        )
    return _resize(frame, new_width, new_height)
