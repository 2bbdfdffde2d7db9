"""The colours of video: the stream's matrix and range are respected."""

from __future__ import annotations

import av
import numpy as np
import pytest
from colour_formula import convert_exactly

from maclip_runtime.sources.colour import assume_matrix
from maclip_runtime.sources.source import Notices
from maclip_runtime.sources.video_frame import FrameConverter

UNSPECIFIED = 2
# H.273's numbers; 5 and 6 are two names for BT.601.
NUMBERS = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}

# libswscale's fast conversion of 8-bit 4:2:0 works with 16-bit products in MMX's manner: measured
# over all luma and chroma at most 3 levels off the formula. A wrong matrix is off by up to 30, a
# wrong range by up to 20.
SWSCALE_ERROR = 3


def planes(width=320, height=240):
    """Luma of every value, chroma in blocks of 16 x 16 within what BT.601 and 709 can show."""
    rng = np.random.default_rng(5)
    luma = np.tile(np.linspace(60, 190, width).astype(np.uint8), (height, 1))
    blocks = rng.integers(108, 149, (2, height // 32, width // 32)).astype(np.uint8)
    chroma = np.repeat(np.repeat(blocks, 16, axis=1), 16, axis=2)
    gaps = ((0, height // 2 - chroma.shape[1]), (0, width // 2 - chroma.shape[2]))
    blue, red = (np.pad(c, gaps, mode="edge") for c in chroma)
    return luma, blue, red


def formula(luma, blue, red, matrix, full):
    """The formula for 4:2:0, whose chroma is repeated."""
    large = (chroma.repeat(2, axis=0).repeat(2, axis=1) for chroma in (blue, red))
    return convert_exactly(luma, *large, matrix, "full" if full else "limited")


def video_frame(luma, blue, red, *, colorspace, color_range, pixel_format="yuv420p"):
    data = np.concatenate([luma.ravel(), blue.ravel(), red.ravel()])
    frame = av.VideoFrame.from_ndarray(data.reshape(-1, luma.shape[1]), pixel_format)
    frame.colorspace, frame.color_range = colorspace, color_range
    return frame


def convert(frame, codec="h264"):
    converter = FrameConverter("clip.mp4", codec, Notices())
    return converter.convert(frame), converter.notices()


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("number", NUMBERS)
def test_the_matrix_and_range_that_a_stream_names_are_used(number, full):
    parts = planes()
    frame = video_frame(*parts, colorspace=number, color_range=2 if full else 1)
    pixels, notices = convert(frame)
    assert notices == []
    expected = formula(*parts, NUMBERS[number], full)
    assert np.abs(pixels - expected).max() <= SWSCALE_ERROR


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("number", [1, 5])
def test_conversion_is_ffmpegs_own(number, full):
    """The reference: libswscale told matrix and range by hand, and not by the frame's tags."""
    parts = planes()
    tagged = video_frame(*parts, colorspace=number, color_range=2 if full else 1)
    untagged = video_frame(*parts, colorspace=UNSPECIFIED, color_range=0)
    expected = untagged.reformat(
        format="rgb24",
        src_colorspace=number,
        src_color_range=2 if full else 1,
        dst_color_range=2,
    ).to_ndarray()
    np.testing.assert_array_equal(convert(tagged)[0], expected)


@pytest.mark.parametrize(
    ("size", "matrix"),
    [((320, 240), "bt601"), ((720, 576), "bt601"), ((1280, 720), "bt709"), ((960, 720), "bt709")],
)
def test_a_stream_that_names_no_matrix_is_taken_by_its_size_as_players_do(size, matrix):
    assert assume_matrix(*size) == matrix
    parts = planes(*size)
    frame = video_frame(*parts, colorspace=UNSPECIFIED, color_range=0)
    pixels, notices = convert(frame)
    assert notices == []
    assert np.abs(pixels - formula(*parts, matrix, full=False)).max() <= SWSCALE_ERROR


def test_a_pixel_format_of_full_range_is_full_without_a_tag():
    """Motion JPEG of cameras: yuvj420p."""
    parts = planes()
    frame = video_frame(*parts, colorspace=5, color_range=0, pixel_format="yuvj420p")
    expected = formula(*parts, "bt601", full=True)
    assert np.abs(convert(frame)[0] - expected).max() <= SWSCALE_ERROR


@pytest.mark.parametrize(
    ("codec", "color_range", "shown"),
    [
        ("h264", 1, {16: 0, 126: 128, 235: 255}),
        ("h264", 2, {16: 16, 126: 126, 235: 235}),
        ("h264", 0, {16: 0, 126: 128, 235: 255}),  # limited is what H.264 means by saying nothing
        ("rawvideo", 0, {16: 16, 126: 126, 235: 235}),  # as V4L2 devices deliver GREY
    ],
)
def test_gray_is_stretched_where_its_range_is_limited(codec, color_range, shown):
    """libswscale takes gray for full, whatever the frame says."""
    gray = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    frame = av.VideoFrame.from_ndarray(gray, "gray")
    frame.color_range = color_range
    pixels, _ = convert(frame, codec)
    for level, expected in shown.items():
        assert np.abs(pixels[:, level].astype(int) - expected).max() <= 1


def test_rgb_stays_as_it_is():
    picture = np.random.default_rng(1).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="gbrp")
    np.testing.assert_array_equal(convert(frame)[0], picture)


def test_ten_bits_come_out_as_eight():
    levels = np.tile(np.linspace(64, 940, 64).astype("<u2"), (48, 1))
    data = np.concatenate([levels.ravel(), np.full(2 * 24 * 32, 512, "<u2")])
    frame = av.VideoFrame(64, 48, "yuv420p10le")
    for plane, part in zip(frame.planes, np.split(data, [48 * 64, 48 * 64 + 24 * 32]), strict=True):
        rows = part.reshape(plane.height, plane.width).view(np.uint8)
        padded = np.zeros((plane.height, plane.line_size), np.uint8)
        padded[:, : rows.shape[1]] = rows
        plane.update(padded)
    frame.colorspace, frame.color_range = 1, 1
    expected = np.rint((levels[0] - 64.0) / 876 * 255)
    assert np.abs(convert(frame)[0][20, :, 1] - expected).max() <= SWSCALE_ERROR


def test_hdr_is_said_once_since_it_is_not_tone_mapped():
    frame = video_frame(*planes(), colorspace=9, color_range=1)
    frame.color_trc = 16
    converter = FrameConverter("clip.mp4", "h264", Notices())
    converter.convert(frame)
    (notice,) = converter.notices()
    assert notice.kind == "colour"
    assert "PQ" in notice.message
    converter.convert(frame)
    assert converter.notices() == []


def test_a_matrix_that_is_not_known_is_said_and_taken_by_size():
    parts = planes()
    pixels, notices = convert(video_frame(*parts, colorspace=8, color_range=1))
    assert [notice.kind for notice in notices] == ["colour"]
    assert np.abs(pixels - formula(*parts, "bt601", full=False)).max() <= SWSCALE_ERROR
