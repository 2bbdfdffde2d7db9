"""Raw frames on a pipe: pixel formats, strides, colour, and an end in the wrong place."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading

import av
import numpy as np
import pytest
from colour_formula import convert_exactly
from hypothesis import given, settings
from hypothesis import strategies as st

from footage import read_all
from maclip_runtime.errors import UsageError
from maclip_runtime.sources.raw import RawFormat, RawSource
from maclip_runtime.sources.select import open_source
from maclip_runtime.vocabulary import PIXEL_FORMATS

# Fixed point with 5 bits: two or three terms, each off by at most 1/64, and the rounding of the sum.
FIXED_POINT_ERROR = 1


def formula(luma, blue, red, matrix="bt601", value_range="limited"):
    return np.rint(convert_exactly(luma, blue, red, matrix, value_range))


def read(raw_format, *frames, frame_rate=25.0):
    data = b"".join(np.asarray(frame, np.uint8).tobytes() for frame in frames)
    return read_all(RawSource("-", io.BytesIO(data), raw_format, frame_rate))


def random_bytes(*shape):
    return np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)


def test_rgb24_is_taken_as_it_is():
    pixels = random_bytes(2, 7, 5, 3)
    frames, notices = read(RawFormat(7, 5), *pixels)
    assert notices == []
    np.testing.assert_array_equal([frame.pixels for frame in frames], pixels)


def test_bgr24_is_turned_round():
    pixels = random_bytes(7, 5, 3)
    frames, _ = read(RawFormat(7, 5, "bgr24"), pixels)
    np.testing.assert_array_equal(frames[0].pixels, pixels[:, :, ::-1])
    assert frames[0].pixels.flags.c_contiguous


@pytest.mark.parametrize("value_range", ["limited", "full"])
@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize(("height", "width"), [(130, 64), (7, 5), (1, 1)])
def test_nv12_follows_matrix_and_range(matrix, value_range, height, width):
    luma = random_bytes(height, width)
    chroma = random_bytes((height + 1) // 2, (width + 1) // 2, 2)
    raw_format = RawFormat(height, width, "nv12", matrix=matrix, value_range=value_range)
    frames, _ = read(raw_format, np.concatenate([luma.ravel(), chroma.ravel()]))
    large = chroma.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    expected = formula(luma, large[:, :, 0], large[:, :, 1], matrix, value_range)
    assert np.abs(frames[0].pixels - expected).max() <= FIXED_POINT_ERROR


@pytest.mark.parametrize("width", [6, 5])
def test_yuyv422_has_chroma_for_two_columns(width):
    pairs = random_bytes(4, (width + 1) // 2, 4)
    frames, _ = read(RawFormat(4, width, "yuyv422"), pairs)
    luma = pairs[:, :, [0, 2]].reshape(4, -1)[:, :width]
    blue, red = (pairs[:, :, place].repeat(2, axis=1)[:, :width] for place in (1, 3))
    assert np.abs(frames[0].pixels - formula(luma, blue, red)).max() <= FIXED_POINT_ERROR


def test_conversion_agrees_with_ffmpegs():
    """Its fast conversion of planes, which is itself off the formula by up to 3 levels; of nv12 it
    interpolates the chroma.
    """
    luma = np.tile(np.linspace(60, 190, 320).astype(np.uint8), (240, 1))
    chroma = np.random.default_rng(2).integers(108, 149, (120, 160, 2)).astype(np.uint8)
    data = np.concatenate([luma.ravel(), chroma.ravel()])
    planes = np.concatenate([luma.ravel(), chroma[:, :, 0].ravel(), chroma[:, :, 1].ravel()])
    frame = av.VideoFrame.from_ndarray(planes.reshape(360, 320), "yuv420p")
    for number, matrix in ((1, "bt709"), (5, "bt601")):
        for code, value_range in ((1, "limited"), (2, "full")):
            ours, _ = read(RawFormat(240, 320, "nv12", None, matrix, value_range), data)
            theirs = frame.reformat(
                format="rgb24", src_colorspace=number, src_color_range=code, dst_color_range=2
            ).to_ndarray()
            assert np.abs(ours[0].pixels.astype(int) - theirs).max() <= 3 + FIXED_POINT_ERROR


def test_the_matrix_that_is_not_given_goes_by_size():
    for height, matrix in ((480, "bt601"), (720, "bt709")):
        data = np.concatenate([np.full(height * 8, 100), np.full(height * 4, 90)])
        frames, _ = read(RawFormat(height, 8, "nv12"), data)
        expected = formula(np.array(100), np.array(90), np.array(90), matrix)
        assert np.abs(frames[0].pixels - expected).max() <= FIXED_POINT_ERROR


@pytest.mark.parametrize(("value_range", "black"), [(None, 16), ("full", 16), ("limited", 0)])
def test_gray_is_full_range_unless_it_is_said(value_range, black):
    frames, _ = read(RawFormat(2, 2, "gray8", value_range=value_range), np.full(4, 16))
    np.testing.assert_array_equal(frames[0].pixels, np.full((2, 2, 3), black))


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(PIXEL_FORMATS), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5))
def test_padding_of_rows_changes_nothing(pixel_format, height, width, padding):
    tight = RawFormat(height, width, pixel_format)
    padded = RawFormat(height, width, pixel_format, stride=tight.row_bytes + padding)
    data = random_bytes(tight.frame_bytes)
    rows, start = [], 0
    lengths = [tight.row_bytes] * height
    if pixel_format == "nv12":
        lengths = [width] * height + [tight.row_bytes] * ((height + 1) // 2)
    for length in lengths:
        row = data[start : start + length]
        rows.append(np.pad(row, (0, padded.stride - length), constant_values=77))
        start += length
    expected, _ = read(tight, data)
    frames, _ = read(padded, np.concatenate(rows))
    np.testing.assert_array_equal(frames[0].pixels, expected[0].pixels)


def test_a_short_last_frame_is_said_and_left_out():
    frames, (notice,) = read(RawFormat(4, 4), random_bytes(2, 4, 4, 3), random_bytes(10))
    assert len(frames) == 2
    assert notice.kind == "ends-early"
    assert notice.message == "its last frame has 10 of 48 bytes and is left out"


def test_less_than_one_frame_asks_for_the_size():
    frames, (notice,) = read(RawFormat(4, 4), random_bytes(10))
    assert frames == []
    assert "are the size and the pixel format right?" in notice.message


def test_times_come_from_the_frame_rate():
    frames, _ = read(RawFormat(2, 2), random_bytes(3, 2, 2, 3), frame_rate=10)
    assert [frame.time for frame in frames] == [0.0, 0.1, 0.2]


def test_times_are_those_of_arrival_without_a_frame_rate():
    frames, _ = read(RawFormat(2, 2), random_bytes(3, 2, 2, 3), frame_rate=None)
    first = frames[0].arrived
    assert [frame.time for frame in frames] == [frame.arrived - first for frame in frames]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"height": 0, "width": 4}, "at least 1"),
        ({"height": 4, "width": 4, "pixel_format": "rgb"}, "rgb24"),
        ({"height": 4, "width": 4, "stride": 11}, "too small"),
        ({"height": 4, "width": 4, "matrix": "rec709"}, "bt709"),
        ({"height": 4, "width": 4, "value_range": "tv"}, "limited"),
    ],
)
def test_a_format_that_cannot_be_is_refused(settings, says):
    with pytest.raises(UsageError, match=says):
        RawFormat(**settings)


def test_a_size_is_asked_for():
    with pytest.raises(UsageError, match="size="):
        open_source("-")


def test_a_pipe_is_read_to_its_end():
    program = (
        "from maclip_runtime.sources.select import open_source\n"
        "from maclip_runtime.sources.raw import RawFormat\n"
        "for frame in open_source('-', raw_format=RawFormat(600, 800)): print(frame.pixels.sum())"
    )
    pixels = random_bytes(3, 600, 800, 3)  # each frame larger than a pipe holds
    done = subprocess.run(
        [sys.executable, "-c", program], input=pixels.tobytes(), capture_output=True, check=True
    )
    assert [int(line) for line in done.stdout.split()] == [int(frame.sum()) for frame in pixels]


def test_closing_ends_a_read_that_waits_for_data():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb") as writer:
        source = RawSource("-", stream, RawFormat(2, 2))
        items = iter(source)
        writer.write(random_bytes(2, 2, 3).tobytes())
        writer.flush()
        assert next(items).index == 0
        waiting = threading.Thread(target=lambda: list(items))
        waiting.start()
        source.close()
        waiting.join(timeout=60)
        assert not waiting.is_alive()
