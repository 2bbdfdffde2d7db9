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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import (  # the two plugins are named to register them: a search would import all forty
    Image,
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from maclip_runtime.device_frames import DeviceArray, describe_device_array, is_on_device
from maclip_runtime.errors import PictureError
from maclip_runtime.method.pixels import Frame

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")

_BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL = 258, 277  # TIFF 6.0's tags
_WEBP_BUFFERS = 12.0  # bytes a pixel

_ORIENTATION = 0x0112  # EXIF's tag
_SIDEWAYS = (5, 6, 7, 8)  # its values that exchange width and height

# What a picture may take. RN50's activations take up to 250 MB, and stay when the next one is decoded: with
# that it stays under 1.2 GB. A frame costs 3 bytes a pixel, Pillow's own copy of it 4, so this many
# pixels can be had.
DECODING_BYTES = 800_000_000
MAX_PIXELS = 114_000_000  # cameras of 108 megapixels are served
MAX_FILE_BYTES = 512_000_000  # more than so many pixels take uncompressed, in RGB of 8 bits
_TILE_PIXELS = 1 << 20  # converted at a time
_TILE_COLUMNS = 1 << 14

HostPicture = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[np.uint8]
"""A path, an encoded picture as bytes or an open binary file, a PIL image, or uint8 RGB `[H, W, 3]`."""

Picture = HostPicture | DeviceArray
"""One of these, or uint8 RGB `[H, W, 3]` in the memory of a GPU."""


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
    if is_on_device(picture):
        return describe_device_array(picture)
    name = getattr(picture, "name", None)
    return name if isinstance(name, str) else "<open file>"


MakeRoom = Callable[[int, int, int], None]
"""Called before a picture is decoded: the bytes that it takes, at most DECODING_BYTES; width and height."""


def _need_no_room(_: int, width: int, height: int) -> None:
    """Whoever reads one picture at a time."""


def read_frame(
    picture: HostPicture,
    *,
    exif_orientation: bool = False,
    make_room: MakeRoom = _need_no_room,
) -> Frame:
    """A picture as uint8 RGB `[H, W, 3]`; PictureError if it is none, or too large."""
    if isinstance(picture, np.ndarray):
        frame = _check_array(picture)
        make_room(frame.nbytes, frame.shape[1], frame.shape[0])
        return frame
    name = describe_picture(picture)
    with _decoding(name):
        if isinstance(picture, Image.Image):
            return _to_rgb(picture, name, exif_orientation, make_room)
        with _open(picture, name) as stream, Image.open(stream, formats=FORMATS) as image:
            return _to_rgb(image, name, exif_orientation, make_room)


def estimate_decoding(image: Image.Image) -> float:
    """Bytes a pixel that decoding and converting an opened picture take at most.

    Pillow stores one channel in 1 byte a pixel (32-bit ones in 4, 16-bit ones in 2), several in 4; its
    decoders need buffers besides: libjpeg keeps all coefficients of a JPEG of several scans, libwebp three
    canvases, libtiff a strip, which may be the whole picture.
    """
    bands = len(image.getbands())
    stored = 4 if bands > 1 or image.mode in ("I", "F") else 2 if image.mode[0] == "I" else 1
    buffers = 3.0  # the frame, for which the decoder's own make room
    if image.format == "JPEG":
        sampling = [h * v for _, h, v, _ in getattr(image, "layer", [])]
        coefficients = 2 * sum(sampling) / max(sampling, default=1)
        buffers = max(buffers, coefficients)
    elif image.format == "WEBP":
        buffers = _WEBP_BUFFERS
    elif image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        bits = max(tags.get(_BITS_PER_SAMPLE, (1,)))
        buffers = max(buffers, bits / 8 * max(bands, tags.get(_SAMPLES_PER_PIXEL, 1)))
    elif image.format == "PPM" and [tile[0] for tile in getattr(image, "tile", [])] != ["raw"]:
        buffers = max(buffers, 2.0 * stored)  # Pillow's Python decoders collect all bytes first
    return stored + buffers


@contextmanager
def _open(picture: str | os.PathLike[str] | bytes | BinaryIO, name: str) -> Iterator[BinaryIO]:
    """The encoded picture to read from. A file must be a regular one: a pipe could keep us for ever."""
    if isinstance(picture, bytes):
        _check_size(len(picture), name)
        yield io.BytesIO(picture)
    elif isinstance(picture, str | os.PathLike):
        status = Path(picture).stat()
        if not stat.S_ISREG(status.st_mode):
            raise PictureError(name, "not a regular file", "give a picture's path, or its bytes")
        _check_size(status.st_size, name)
        with Path(picture).open("rb") as stream:
            yield stream
    elif picture.seekable():
        _check_size(picture.seek(0, os.SEEK_END), name)
        picture.seek(0)
        yield picture
    else:
        data = picture.read(MAX_FILE_BYTES + 1)
        _check_size(len(data), name)
        yield io.BytesIO(data)


def _check_size(size: int, name: str) -> None:
    """Some decoders read a file whole, and all read any one part of it whole."""
    if size > MAX_FILE_BYTES:
        reason = f"a file of more than {MAX_FILE_BYTES // 1_000_000} MB"
        raise PictureError(name, reason, "scale it down first")


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


def _refuse_size(name: str, most: int = MAX_PIXELS) -> PictureError:
    megapixels = most // 1_000_000
    return PictureError(name, f"more than {megapixels} megapixels", "scale it down first")


def _check_array(array: NDArray[np.uint8]) -> Frame:
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or array.size == 0:
        raise PictureError(
            describe_picture(array), f"is {array.dtype}", "frames are uint8 RGB arrays [H, W, 3]"
        )
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise _refuse_size(describe_picture(array))
    return array


def _to_rgb(image: Image.Image, name: str, exif_orientation: bool, make_room: MakeRoom) -> Frame:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise _refuse_size(name)
    if not pixels:
        raise PictureError(name, "has no pixels")
    cost = estimate_decoding(image)
    if pixels * cost > DECODING_BYTES:
        raise _refuse_size(name, int(DECODING_BYTES / cost))
    make_room(int(pixels * cost), *image.size)
    image.load()
    orientation = image.getexif().get(_ORIENTATION, 1) if exif_orientation else 1
    return _convert(image, name, orientation)


def _convert(image: Image.Image, name: str, orientation: int = 1) -> Frame:
    """Convert tile by tile into one array: beside the picture and the result, only a tile is held."""
    width, height = image.size
    turned = orientation in _SIDEWAYS
    frame = np.empty((width, height, 3) if turned else (height, width, 3), np.uint8)
    upright = _turn_back(frame, orientation)
    columns = min(width, _TILE_COLUMNS)
    rows = max(1, _TILE_PIXELS // columns)
    convert = _high_byte if image.mode.startswith("I") or image.mode == "F" else _convert_tile
    refuse_32_bits = _has_32_bits(image)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            box = (left, top, min(left + columns, width), min(top + rows, height))
            tile = convert(image.crop(box), name, refuse_32_bits)
            upright[box[1] : box[3], box[0] : box[2]] = tile
    return frame


def _turn_back(frame: Frame, orientation: int) -> Frame:
    """A view of the turned frame in which the picture lies as it was stored (EXIF 2.3, tag Orientation)."""
    match orientation:
        case 2:
            return frame[:, ::-1]
        case 3:
            return frame[::-1, ::-1]
        case 4:
            return frame[::-1]
        case 5:
            return frame.transpose(1, 0, 2)
        case 6:
            return np.rot90(frame)
        case 7:
            return frame[::-1, ::-1].transpose(1, 0, 2)
        case 8:
            return np.rot90(frame, -1)
    return frame


def _convert_tile(tile: Image.Image, name: str, refuse: bool) -> Frame:
    if tile.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in tile.info:
        over = tile.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        tile = Image.alpha_composite(white, over)
    return np.asarray(tile.convert("RGB"))


def _has_32_bits(image: Image.Image) -> bool:
    """Whether a TIFF says that its samples have 32 bits, whatever they happen to hold."""
    return image.mode == "I" and getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE) == (32,)


def _high_byte(tile: Image.Image, name: str, refuse: bool) -> Frame:
    """16-bit gray to 8-bit RGB. Older Pillows open 16-bit PNGs as 32-bit "I"."""
    values = np.asarray(tile)
    beyond = values.min(initial=0) < 0 or values.max(initial=0) > 65535
    if values.dtype.kind == "f" or beyond or refuse:
        raise PictureError(
            name, "pixels of 32 bits have no known range", "save it with 8 or 16 bits"
        )
    gray = (values >> 8).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)
