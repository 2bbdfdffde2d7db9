"""Pictures to frames: decoding and colour conversion.

Every kind of picture is converted on purpose:

- gray, palette and 1-bit: expanded to RGB;
- alpha: composited on white, as a viewer shows it (fully opaque alpha changes nothing);
- CMYK, YCbCr, HSV, Lab: Pillow's plain conversion; embedded colour profiles are not applied, as in
  the published method;
- 16 bits a channel: scaled to 8 bits by keeping the high byte (what Pillow does for 16-bit colour);
- 32-bit and floating-point pixels: refused, since their range is not known;
- animations and multi-page files: the first frame;
- EXIF orientation: applied on request only; the published method ignores it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import (  # the two plugins are named to register them: a search would import all forty
    Image,
    ImageOps,
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from maclip_runtime.errors import PictureError
from maclip_runtime.method.pixels import Frame

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")

MAX_PIXELS = 178_956_970  # Pillow's own line between a photograph and a decompression bomb

Picture = str | os.PathLike[str] | Image.Image | NDArray[np.uint8]


def describe_picture(picture: Picture) -> str:
    """How messages and results name a picture: its path, or what it is."""
    if isinstance(picture, str | os.PathLike):
        return os.fspath(picture)
    if isinstance(picture, Image.Image):
        return f"<{picture.width} x {picture.height} PIL image>"
    return f"<array {np.shape(picture)}>"


def read_frame(picture: Picture, *, exif_orientation: bool = False) -> Frame:
    """A picture as uint8 RGB `[H, W, 3]`; PictureError if it is none, or too large."""
    if isinstance(picture, np.ndarray):
        return _check_array(picture)
    if isinstance(picture, Image.Image):
        return _to_rgb(picture, describe_picture(picture), exif_orientation)
    path = Path(picture)
    name = os.fspath(picture)
    try:
        with Image.open(path, formats=FORMATS) as image:
            return _to_rgb(image, name, exif_orientation)
    except FileNotFoundError:
        raise PictureError(name, "no such file") from None
    except UnidentifiedImageError:
        formats = ", ".join(FORMATS)
        empty = path.stat().st_size == 0
        reason = "empty file" if empty else f"not a picture in a known format ({formats})"
        raise PictureError(name, reason) from None
    except Image.DecompressionBombError:
        raise _refuse_size(name) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        # Pillow's decoders raise any of these for damaged files.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PictureError(name, f"cannot be read: {reason}") from None


def _refuse_size(name: str) -> PictureError:
    megapixels = MAX_PIXELS // 1_000_000
    return PictureError(name, f"more than {megapixels} megapixels", "scale it down first")


def _check_array(array: NDArray[np.uint8]) -> Frame:
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or array.size == 0:
        raise PictureError(
            describe_picture(array), f"is {array.dtype}", "frames are uint8 RGB arrays [H, W, 3]"
        )
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise _refuse_size(describe_picture(array))
    return array


def _to_rgb(image: Image.Image, name: str, exif_orientation: bool) -> Frame:
    if image.width * image.height > MAX_PIXELS:
        raise _refuse_size(name)
    if exif_orientation:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _high_byte(image, name)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        image = Image.alpha_composite(white, over)
    return np.asarray(image.convert("RGB"))


def _high_byte(image: Image.Image, name: str) -> Frame:
    """16-bit gray to 8-bit RGB. Older Pillows open 16-bit PNGs as 32-bit "I"."""
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise PictureError(
            name, "pixels of 32 bits have no known range", "save it with 8 or 16 bits"
        )
    gray = (values >> 8).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)
