"""Inputs that are nearly right: valid ones of every kind, changed in a few places."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from boundaries import read_demo_manifest, read_demo_prompts, write_tiny_encoder
from hypothesis import strategies as st
from PIL import Image

# Numbers that lengths, offsets, counts and types are unlikely to have been meant to be.
_EDGES = [
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
]
_BYTES = [edge.to_bytes(4, order) for edge in _EDGES for order in ("little", "big")]
# What no field of a manifest is meant to hold, or only some.
_VALUES = [
    None, True, False, 0, -1, 1, 2, 0.5, -0.5, 16, 31, 32, 1024, 1025, 2**31, 2**64, -(2**70), 1e308,
    float("nan"), float("inf"), "", ".", "..", "/", "../prompts.npz", "/dev/zero", "a\0b", "\ud800", "a\nb",
    "x" * 5000, "image_encoder", "prompts", "fp16", "dense", [], [[]], {}, {"": None}, [0, 0, 0], [1, 1, 1],
]  # fmt: skip


@st.composite
def mutate(draw: Callable[..., Any], originals: list[bytes]) -> bytes:
    """One of the originals with a few of its bytes changed, put in, left out or repeated."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 6))):
        # Half of the changes are near the front, where headers are.
        reach = draw(st.sampled_from([64, 512, len(data)]))
        at = draw(st.integers(0, max(min(reach, len(data)) - 1, 0)))
        change = draw(st.sampled_from(["byte", "bit", "edge", "cut", "drop", "insert", "repeat"]))
        if change == "byte":
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif change == "bit" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "edge":
            edge = draw(st.sampled_from(_BYTES))[: draw(st.sampled_from([1, 2, 4]))]
            data[at : at + len(edge)] = edge
        elif change == "cut":
            del data[at:]
        elif change == "drop":
            del data[at : at + draw(st.integers(1, 64))]
        elif change == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 64))]
    return bytes(data)


@st.composite
def mutate_manifest(draw: Callable[..., Any]) -> bytes:
    """The manifest with a few of its values, keys and items changed, or its text."""
    manifest = copy.deepcopy(read_demo_manifest())
    for _ in range(draw(st.integers(1, 3))):
        places = list(_list_places(manifest))
        holder, key = draw(st.sampled_from(places))
        change = draw(st.sampled_from(["value", "value", "value", "drop", "key", "repeat", "swap"]))
        if change == "drop":
            del holder[key]
        elif change == "key" and isinstance(holder, dict):
            holder[draw(st.sampled_from(["", "surprise", "schema", "plan", "views"]))] = holder[key]
        elif change == "repeat" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif change == "swap":
            other, place = draw(st.sampled_from(places))
            holder[key] = copy.deepcopy(other[place]) if _holds(other, place) else None
        else:
            value = draw(st.sampled_from(_VALUES) | st.integers() | st.floats())
            holder[key] = copy.deepcopy(value)  # the next change may be to the inside of it
        if not list(_list_places(manifest)):
            break
    text = json.dumps(manifest).encode()
    return draw(st.just(text) | mutate([text])) if draw(st.integers(0, 9)) == 0 else text


def _list_places(data: Any) -> Any:
    """Every value of JSON data, as what holds it and under which key or index."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in list(items):
        yield data, key
        if isinstance(value, dict | list):
            yield from _list_places(value)


def _holds(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def write_pictures() -> list[bytes]:
    """Small pictures in every format and kind of pixels that Pillow writes."""
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    rgb = Image.fromarray(pixels)
    gray, deep = rgb.convert("L"), Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    palette, alpha = rgb.quantize(16), rgb.convert("RGBA")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (rgb, "JPEG", {"exif": exif}),
        (rgb, "JPEG", {"progressive": True}),
        (gray, "JPEG", {}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgb, "PNG", {"exif": exif}),
        (alpha, "PNG", {}),
        (deep, "PNG", {}),
        (palette, "PNG", {"transparency": 3}),
        (rgb.convert("1"), "PNG", {}),
        (rgb, "WEBP", {}),
        (alpha, "WEBP", {"lossless": True, "exif": exif}),
        (rgb, "TIFF", {"exif": exif}),
        (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (rgb, "TIFF", {"compression": "jpeg"}),
        (gray, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (deep, "TIFF", {}),
        (rgb.convert("1"), "TIFF", {"compression": "group4"}),
        (Image.fromarray(np.int32(pixels[..., 0]) * 99_999), "TIFF", {}),
        (rgb, "BMP", {}),
        (palette, "BMP", {}),
        (palette, "GIF", {"transparency": 0, "save_all": True, "append_images": [gray]}),
        (rgb, "PPM", {}),
        (deep, "PPM", {}),
        (rgb.convert("1"), "PPM", {}),
    ]
    return [_save(*kind) for kind in kinds]


def write_prompts() -> list[bytes]:
    """The demo's prompts, and arrays that are none: of another type, compressed, not finite."""
    with np.load(io.BytesIO(read_demo_prompts())) as archive:
        good = archive["embeddings"]
    written = [read_demo_prompts()]
    for save in (np.savez, np.savez_compressed):
        for array in (good, good[:1], good.astype(np.float64), good * np.nan, good * 0, good.T):
            stream = io.BytesIO()
            save(stream, embeddings=array)
            written.append(stream.getvalue())
    return written


def _save(image: Image.Image, format: str, options: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


INPUTS: dict[str, st.SearchStrategy[bytes]] = {
    "picture": mutate(write_pictures()),
    "manifest": mutate_manifest(),
    "prompts": mutate(write_prompts()),
    "graph": mutate([write_tiny_encoder()]),
    "raw_stream": st.binary(min_size=4, max_size=600),
}
"""For each boundary, what to try on it."""
