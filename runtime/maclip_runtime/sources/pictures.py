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

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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

_BITS_PER_SAMPLE = 258  # TIFF 6.0's tag

MAX_PIXELS = 178_956_970  # Pillow's own line between a photograph and a decompression bomb

Picture = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[np.uint8]
"""A path, an encoded picture as bytes or an open binary file, a PIL image, or uint8 RGB `[H, W, 3]`."""


def describe_picture(picture: Picture) -> str:
    """How messages and results name a picture: its path, or what it is."""
    if isinstance(picture, str | os.PathLike):
        return os.fspath(picture)
    if isinstance(picture, Image.Image):
        return f"<{picture.width} x {picture.height} PIL image>"
    if isinstance(picture, np.ndarray):
        return f"<array {np.shape(picture)}>"
    if isinstance(picture, bytes):
        return f"<{len(picture)} bytes>"
    name = getattr(picture, "name", None)
    return name if isinstance(name, str) else "<open file>"


def read_frame(picture: Picture, *, exif_orientation: bool = False) -> Frame:
    """A picture as uint8 RGB `[H, W, 3]`; PictureError if it is none, or too large."""
    if isinstance(picture, np.ndarray):
        return _check_array(picture)
    name = describe_picture(picture)
    with _decoding(name):
        if isinstance(picture, Image.Image):
            return _to_rgb(picture, name, exif_orientation)
        with _open(picture, name) as stream, Image.open(stream, formats=FORMATS) as image:
            return _to_rgb(image, name, exif_orientation)


@contextmanager
def _open(picture: str | os.PathLike[str] | bytes | BinaryIO, name: str) -> Iterator[BinaryIO]:
    """The encoded picture to read from. A file must be a regular one: a pipe could keep us for ever."""
    if isinstance(picture, bytes):
        yield io.BytesIO(picture)
    elif isinstance(picture, str | os.PathLike):
        if not stat.S_ISREG(Path(picture).stat().st_mode):
            raise PictureError(name, "not a regular file", "give a picture's path, or its bytes")
        with Path(picture).open("rb") as stream:
            yield stream
    else:
        yield picture


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """The boundary of decoding: whatever goes wrong inside is the error of this picture alone.

    Pillow's decoders raise anything on damaged files: TypeError, struct.error, ZeroDivisionError and
    more have been seen.
    """
    try:
        yield
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(name, "no such file") from None
    except UnidentifiedImageError:
        formats = ", ".join(FORMATS)
        reason = f"not a picture in a known format ({formats})"
        raise PictureError(name, "empty file" if _is_empty(name) else reason) from None
    except Image.DecompressionBombError:
        raise _refuse_size(name) from None
    except MemoryError:
        raise PictureError(name, "not enough memory to decode it", "scale it down first") from None
    except Exception as error:  # noqa: BLE001  see above
        told = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PictureError(name, f"cannot be read: {' '.join(told.split())}") from None


def _is_empty(name: str) -> bool:
    try:
        return Path(name).stat().st_size == 0
    except (OSError, ValueError):
        return False


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
    if not image.width * image.height:
        raise PictureError(name, "has no pixels")
    if exif_orientation:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _high_byte(image, name)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        image = Image.alpha_composite(white, over)
    return np.asarray(image.convert("RGB"))


def _has_32_bits(image: Image.Image) -> bool:
    """Whether a TIFF says that its samples have 32 bits, whatever they happen to hold."""
    return image.mode == "I" and getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE) == (32,)


def _high_byte(image: Image.Image, name: str) -> Frame:
    """16-bit gray to 8-bit RGB. Older Pillows open 16-bit PNGs as 32-bit "I"."""
    values = np.asarray(image)
    beyond = values.min(initial=0) < 0 or values.max(initial=0) > 65535
    if values.dtype.kind == "f" or beyond or _has_32_bits(image):
        raise PictureError(
            name, "pixels of 32 bits have no known range", "save it with 8 or 16 bits"
        )
    gray = (values >> 8).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)
