"""Video files: their frames, times and orientation, and everything that may be wrong with one."""

from __future__ import annotations

import threading

import av
import numpy as np
import pytest

from footage import FRAMES, HEIGHT, RATE, WIDTH, index_of, picture_of, read_all
from maclip_runtime.errors import SourceError
from maclip_runtime.sources.select import open_source
from maclip_runtime.sources.source import SourceFrame

# H.264 at CRF 12 of a smooth picture: 8-bit YCbCr and its rounding cost up to 3 levels each way, the
# codec a few; a wrong matrix costs 15 and more, another orientation 100.
CODEC_ERROR = 8


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("h264.mp4", "libx264"),
        ("hevc.mp4", "libx265"),
        ("h264.ts", "libx264"),
        ("mpeg4.avi", "mpeg4"),
    ],
)
def test_every_frame_comes_in_order_with_its_time(video, name, codec):
    frames, notices = read_all(open_source(str(video(name, codec=codec))))
    assert notices == []
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [index_of(frame.pixels) for frame in frames] == list(range(FRAMES))
    np.testing.assert_allclose(
        [frame.time for frame in frames], np.arange(FRAMES) / RATE, atol=1e-3
    )


def test_frames_are_rgb_bytes_without_gaps(video):
    source = open_source(str(video("a.mp4")))
    assert not source.live
    assert source.frame_rate == RATE
    frame = read_all(source)[0][0]
    assert frame.pixels.shape == (HEIGHT, WIDTH, 3)
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.flags.c_contiguous


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_pixels_are_those_that_were_written(video, codec):
    frames, _ = read_all(open_source(str(video("a.mp4", codec=codec))))
    for frame in frames[::7]:
        difference = frame.pixels.astype(int) - picture_of(frame.index)
        assert np.abs(difference).max() <= CODEC_ERROR


def test_a_variable_frame_rate_keeps_its_presentation_times(video):
    times = [0, 1, 2, 10, 11, 30, 31, 75]
    frames, notices = read_all(open_source(str(video("vfr.mkv", times=times))))
    assert notices == []
    np.testing.assert_allclose([f.time for f in frames], np.array(times) / RATE, atol=1e-3)


def test_times_start_at_zero_where_the_file_starts_later(video):
    frames, _ = read_all(open_source(str(video("late.ts", times=range(500, 510)))))
    np.testing.assert_allclose([f.time for f in frames], np.arange(10) / RATE, atol=1e-3)


def test_a_stream_without_times_gets_them_from_its_frame_rate(video):
    path = video("bare.h264", options={"x264-params": "bframes=0"})
    frames, notices = read_all(open_source(str(path), frame_rate=50))
    assert [notice.kind for notice in notices] == ["time"]
    np.testing.assert_allclose([f.time for f in frames], np.arange(FRAMES) / 50)


@pytest.mark.parametrize(
    ("rotation", "apply"),
    [
        ((90, False, False), lambda p: np.rot90(p, 1)),  # FFmpeg counts against the clock, as NumPy
        ((-90, False, False), lambda p: np.rot90(p, -1)),
        ((180, False, False), lambda p: np.rot90(p, 2)),
        ((0, True, False), lambda p: p[:, ::-1]),
        ((0, False, True), lambda p: p[::-1]),
    ],
)
def test_the_rotation_flag_is_applied_and_said_once(video, rotation, apply):
    frames, notices = read_all(open_source(str(video("phone.mp4", rotation=rotation))))
    assert [notice.kind for notice in notices] == ["rotated"]
    expected = apply(picture_of(0))
    assert frames[0].pixels.shape == expected.shape
    assert frames[0].pixels.flags.c_contiguous
    assert np.abs(frames[0].pixels.astype(int) - expected).max() <= CODEC_ERROR


def test_a_rotation_of_no_quarter_turn_is_left_and_said(video):
    frames, notices = read_all(open_source(str(video("a.mp4", rotation=(30, False, False)))))
    assert [notice.kind for notice in notices] == ["rotated"]
    assert "not applied" in notices[0].message
    assert frames[0].pixels.shape == (HEIGHT, WIDTH, 3)


def test_odd_sizes_come_out_whole(video):
    path = video("odd.mkv", size=(319, 241), pixel_format="yuv444p")
    frames, notices = read_all(open_source(str(path)))
    assert notices == []
    assert frames[-1].pixels.shape == (241, 319, 3)
    assert np.abs(frames[0].pixels.astype(int) - picture_of(0, 319, 241)).max() <= CODEC_ERROR


def test_a_change_of_size_in_the_middle_is_said_and_goes_on(video, tmp_path):
    both = tmp_path / "both.h264"
    small, large = video("small.h264"), video("large.h264", size=(480, 360))
    both.write_bytes(small.read_bytes() + large.read_bytes() + small.read_bytes())
    frames, notices = read_all(open_source(str(both)))
    assert len(frames) == 3 * FRAMES
    shapes = [frame.pixels.shape[:2] for frame in frames]
    assert shapes == [(240, 320)] * FRAMES + [(360, 480)] * FRAMES + [(240, 320)] * FRAMES
    sizes = [notice.message for notice in notices if notice.kind == "size"]
    assert sizes == ["480 x 360 from frame 30 on, 320 x 240 before"]


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv"])
def test_a_file_that_ends_within_a_frame_gives_what_it_has(video, name):
    path = video(name, times=range(60), container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    frames, notices = read_all(open_source(str(path)))
    assert 5 < len(frames) < 60
    assert [index_of(frame.pixels) for frame in frames[:5]] == list(range(5))
    (end,) = [notice for notice in notices if notice.kind == "ends-early"]
    assert "of the 2.40 s" in end.message


@pytest.mark.parametrize("name", ["hurt.mp4", "hurt.mkv", "hurt.ts", "hurt.h264"])
def test_damaged_packets_do_not_end_a_file_and_are_said_once(video, name):
    path = video(
        name,
        times=range(60),
        options={"x264-params": "keyint=10"},
        container_options={"movflags": "faststart"} if name.endswith("mp4") else None,
    )
    data = bytearray(path.read_bytes())
    for start in (len(data) * 3 // 10, len(data) * 6 // 10):
        data[start : start + 400] = bytes(
            (7 * value + 13) % 256 for value in data[start : start + 400]
        )
    path.write_bytes(data)
    frames, notices = read_all(open_source(str(path)))
    assert len(frames) > 40
    assert [notice.kind for notice in notices].count("damaged") == 1
    assert all("\n" not in notice.message for notice in notices)
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    assert index_of(frames[-1].pixels) == 59 % 30


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", "not a video"),
        (b"not a video at all" * 100, "not a video"),
    ],
)
def test_what_is_no_video_is_one_line_that_names_it(tmp_path, content, says):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=says) as raised:
        open_source(str(path))
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)
    assert not raised.value.transient


def test_a_file_of_sound_alone_says_so(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        samples.sample_rate = 44100
        container.mux(stream.encode(samples))
        container.mux(stream.encode())
    with pytest.raises(SourceError, match="no video in it"):
        open_source(str(path))


def test_a_device_that_is_not_there_is_one_line():
    with pytest.raises(SourceError, match=r"^/dev/video97: no such device$") as raised:
        open_source("/dev/video97")
    assert not raised.value.transient


def test_a_source_can_be_closed_from_another_thread_while_it_is_read(video):
    source = open_source(str(video("a.mp4")))
    seen = 0
    for _ in source:
        seen += 1
        closing = threading.Thread(target=source.close)
        closing.start()
        closing.join()
    assert 1 <= seen < FRAMES
    source.close()


def test_a_source_that_was_closed_before_gives_nothing(video):
    source = open_source(str(video("a.mp4")))
    source.close()
    assert not [item for item in source if isinstance(item, SourceFrame)]
