"""Camera formats in the C library: byte for byte what `maclip_runtime.sources` makes of the same frames."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import twins
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from maclip_runtime.sources.colour import convert_gray, convert_yuv
from maclip_runtime.sources.pictures import read_frame
from maclip_runtime.sources.raw import RawFormat

Bytes = NDArray[np.uint8]
MATRICES = ["bt601", "bt709", "bt2020"]
RANGES = ["limited", "full"]
SIZES = [(130, 64), (7, 5), (6, 9), (1, 1), (1, 2), (2, 1)]  # height, width
RNG = np.random.default_rng(11)


def random_bytes(*shape: int) -> Bytes:
    return RNG.integers(0, 256, shape).astype(np.uint8)


def in_padded_rows(plane: Bytes, padding: int) -> Bytes:
    """The same plane where rows are further apart; the last row ends with its last byte."""
    height, width = plane.shape
    memory = np.full(height * (width + padding) - padding, 99, np.uint8)
    rows = np.lib.stride_tricks.as_strided(memory, plane.shape, (width + padding, 1))
    rows[:] = plane
    return rows


@pytest.mark.parametrize("padding", [0, 1, 13])
@pytest.mark.parametrize("value_range", RANGES)
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_yuv_is_pythons(
    height: int, width: int, matrix: str, value_range: str, padding: int
) -> None:
    chroma_height, pairs = -(-height // 2), -(-width // 2)
    luma = random_bytes(height, width)
    blue, red = random_bytes(chroma_height, pairs), random_bytes(chroma_height, pairs)
    both = np.stack([blue, red], axis=-1).reshape(chroma_height, 2 * pairs)
    expected = convert_yuv(luma, blue, red, matrix, value_range)
    planes = {"i420": [luma, blue, red], "nv12": [luma, both]}
    for pixel_format, tight in planes.items():
        padded = [in_padded_rows(plane, padding) for plane in tight]
        found = twins.convert(
            pixel_format, height, width, padded, matrix=matrix, value_range=value_range
        )
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("value_range", RANGES)
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_yuyv_is_pythons(
    height: int, width: int, matrix: str, value_range: str, padding: int
) -> None:
    data = random_bytes(height, 4 * -(-width // 2))
    raw = RawFormat(height, width, "yuyv422", matrix=matrix, value_range=value_range)
    found = twins.convert(
        "yuyv",
        height,
        width,
        [in_padded_rows(data, padding)],
        matrix=matrix,
        value_range=value_range,
    )
    np.testing.assert_array_equal(found, raw.convert(data.ravel()))


@pytest.mark.parametrize("value_range", RANGES)
@pytest.mark.parametrize("matrix", MATRICES)
def test_every_luma_and_chroma_is_converted_as_in_python(matrix: str, value_range: str) -> None:
    """All 256 x 256 pairs of chroma beside each other, under lumas that visit every value."""
    blue, red = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    luma = (np.arange(512 * 512) * 7 % 256).astype(np.uint8).reshape(512, 512)
    expected = convert_yuv(luma, blue, red, matrix, value_range)
    found = twins.convert(
        "i420", 512, 512, [luma, blue, red], matrix=matrix, value_range=value_range
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("height", "width"), [(576, 1278), (576, 1280), (578, 64), (480, 640)])
def test_the_matrix_and_range_that_are_not_given_are_pythons(height: int, width: int) -> None:
    raw = RawFormat(height, width, "nv12")
    data = random_bytes(raw.frame_bytes)
    luma, chroma = np.split(data, [height * width])
    planes = [luma.reshape(height, width), chroma.reshape(-1, width)]
    np.testing.assert_array_equal(twins.convert("nv12", height, width, planes), raw.convert(data))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["rgb", "bgr", "gray"]), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5)
)
def test_rgb_bgr_and_gray_are_pythons(
    pixel_format: str, height: int, width: int, padding: int
) -> None:
    names = {"rgb": "rgb24", "bgr": "bgr24", "gray": "gray8"}
    raw = RawFormat(height, width, names[pixel_format])
    data = random_bytes(height, raw.row_bytes)
    found = twins.convert(pixel_format, height, width, [in_padded_rows(data, padding)])
    np.testing.assert_array_equal(found, raw.convert(data.ravel()))


@pytest.mark.parametrize("value_range", [None, *RANGES])
def test_gray_of_limited_range_is_stretched(value_range: str | None) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = twins.convert("gray", 16, 16, [levels], value_range=value_range)
    np.testing.assert_array_equal(found, convert_gray(levels, value_range or "full"))


def test_alpha_is_laid_on_white_as_pictures_are() -> None:
    """Every value under every alpha, against Pillow."""
    value, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    rgba = np.stack([value, 255 - value, value ^ 85, alpha], axis=-1)
    expected = read_frame(Image.fromarray(rgba))
    bgra = np.ascontiguousarray(rgba[:, :, [2, 1, 0, 3]])
    for pixel_format, pixels in (("rgba", rgba), ("bgra", bgra)):
        found = twins.convert(pixel_format, 256, 256, [pixels.reshape(256, -1)])
        np.testing.assert_array_equal(found, expected)


def test_the_fourth_byte_of_rgbx_and_bgrx_is_not_looked_at() -> None:
    pixels = random_bytes(5, 7, 4)
    for pixel_format, order in (("rgbx", [0, 1, 2]), ("bgrx", [2, 1, 0])):
        found = twins.convert(pixel_format, 5, 7, [in_padded_rows(pixels.reshape(5, 28), 3)])
        np.testing.assert_array_equal(found, pixels[:, :, order])


@pytest.mark.parametrize(
    ("pixel_format", "planes"),
    [("rgb", [12]), ("gray", [4]), ("bgra", [16]), ("nv12", [4, 4]), ("i420", [4, 2, 2])],
)
def test_missing_planes_and_strides_too_small_are_refused(
    pixel_format: str, planes: list[int]
) -> None:
    """planes: the bytes of a row of each, in a frame of 4 x 4 pixels."""
    whole: list[Bytes | None] = [random_bytes(4, row) for row in planes]
    for place, row in enumerate(planes):
        missing = [None if other == place else plane for other, plane in enumerate(whole)]
        with pytest.raises(twins.ConversionError, match=rf"plane {place} of the frame is NULL"):
            twins.convert(pixel_format, 4, 4, missing)
        strides = [bytes_ - (other == place) for other, bytes_ in enumerate(planes)]
        with pytest.raises(twins.ConversionError, match=rf"plane {place} .* a row of it has {row}"):
            twins.convert(pixel_format, 4, 4, whole, strides=strides)


def test_an_odd_row_of_yuyv_needs_a_whole_group() -> None:
    with pytest.raises(twins.ConversionError, match="a row of it has 8"):
        twins.convert("yuyv", 2, 3, [random_bytes(2, 8)], strides=[7])


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("format", 0, "unknown pixel format 0"),
        ("format", 11, "unknown pixel format 11"),
        ("format", -1, "unknown pixel format -1"),
        ("matrix", 4, "unknown matrix 4"),
        ("range", 3, "unknown range 3"),
        ("range", -7, "unknown range -7"),
        ("width", 0, "0 x 4 pixels"),
        ("height", 0, "4 x 0 pixels"),
        ("height", 30_000_000, "more than 114 megapixels; scale it down first"),
        ("height", 2**32 - 1, "more than 114 megapixels"),
    ],
)
def test_what_no_frame_has_is_refused(field: str, value: int, says: str) -> None:
    pixels = random_bytes(4, 12)
    frame = twins.Frame(ctypes.sizeof(twins.Frame), 1, 4, 4)
    frame.planes[0], frame.strides[0] = pixels.ctypes.data, 12
    setattr(frame, field, value)
    with pytest.raises(twins.ConversionError, match=says):
        twins.convert_frame(frame)
