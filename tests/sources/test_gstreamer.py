"""GStreamer pipelines. They run where GStreamer's bindings are: `make test` has an environment for it."""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from footage import read_all, wait_for_end_of
from maclip_runtime.errors import SourceError
from maclip_runtime.sources.gstreamer import GStreamerSource
from maclip_runtime.sources.reader import read_source
from maclip_runtime.sources.select import open_source
from maclip_runtime.sources.source import Ended, Lost, SourceFrame

# In its own environment nothing is skipped: there its absence is a failure.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gi") is None and Path(sys.prefix).name != ".venv-system",
    reason="needs python3-gst-1.0, which .venv-system sees (make test)",
)

SIZE = "video/x-raw,width=320,height=240,framerate=25/1"


def test_a_pipeline_gives_every_frame_with_its_time():
    source = open_source(f"gst:videotestsrc num-buffers=50 ! {SIZE}")
    assert not source.live
    assert source.frame_rate == 25
    frames, notices = read_all(source)
    assert notices == []
    assert [frame.index for frame in frames] == list(range(50))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(50) / 25, atol=1e-6)
    assert frames[0].pixels.shape == (240, 320, 3)
    assert frames[0].pixels.flags.c_contiguous


@pytest.mark.parametrize("size", [(319, 241), (320, 240), (2, 2)])
def test_padding_of_rows_is_left_out(size):
    width, height = size
    caps = f"video/x-raw,format=RGB,width={width},height={height}"
    source = open_source(f"gst:videotestsrc num-buffers=1 pattern=red ! {caps}")
    (frame,), _ = read_all(source)
    np.testing.assert_array_equal(frame.pixels, np.broadcast_to([255, 0, 0], (height, width, 3)))


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("pixel_format", ["I420", "NV12", "YUY2"])
def test_colours_follow_the_caps(pixel_format, matrix):
    """Pure blue, through YCbCr and back: a wrong matrix gives it another shade."""
    caps = f"video/x-raw,format={pixel_format},colorimetry={matrix},width=64,height=48"
    source = open_source(f"gst:videotestsrc num-buffers=1 pattern=blue ! {caps}")
    (frame,), _ = read_all(source)
    # 8-bit YCbCr keeps a saturated colour to 3 levels; the other matrix is off by 15 and more.
    assert np.abs(frame.pixels.astype(int) - [0, 0, 255]).max() <= 3


def test_a_live_pipeline_is_known_to_be_live_and_its_end_is_a_loss():
    source = open_source(f"gst:videotestsrc is-live=true num-buffers=5 ! {SIZE}")
    assert source.live
    with pytest.raises(SourceError, match="the pipeline ended") as raised:
        list(source)
    assert raised.value.transient


def test_a_change_of_size_is_said(tmp_path):
    """A folder of pictures of two sizes, as multifilesrc reads it."""
    from PIL import Image

    for index, size in enumerate([(64, 48), (64, 48), (96, 80)]):
        Image.new("RGB", size, "white").save(tmp_path / f"{index}.png")
    source = open_source(
        f"gst:multifilesrc location={tmp_path}/%d.png caps=image/png,framerate=25/1 ! pngdec"
    )
    frames, (notice,) = read_all(source)
    assert [frame.pixels.shape for frame in frames] == [(48, 64, 3)] * 2 + [(80, 96, 3)]
    assert notice.kind == "size"


@pytest.mark.parametrize(
    ("pipeline", "says"),
    [
        ("videotestsrcc", 'no element "videotestsrcc"'),
        ("videotestsrc ! !", "syntax error"),
        ("filesrc location=/none.mp4 ! decodebin", 'No such file "/none.mp4"'),
        ("v4l2src device=/dev/video97", "/dev/video97"),
    ],
)
def test_what_cannot_run_is_one_line_in_gstreamers_words(pipeline, says):
    with pytest.raises(SourceError) as raised:
        open_source(f"gst:{pipeline}")
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not raised.value.transient


def test_an_error_in_the_middle_comes_after_the_frames_before_it():
    source = open_source(f"gst:videotestsrc ! {SIZE} ! identity error-after=10")
    seen = []
    with pytest.raises(SourceError, match="identity"):
        seen.extend(item.index for item in source)
    assert seen == list(range(9))


def test_a_warning_is_said_in_gstreamers_words_and_ends_nothing():
    from gi.repository import GLib, Gst

    source = GStreamerSource(f"gst:videotestsrc num-buffers=3 ! {SIZE}")
    error = GLib.Error.new_literal(Gst.StreamError.quark(), "A stream is not decoded.", 0)
    source._bus.post(Gst.Message.new_warning(source._sink, error, "details"))
    frames, (notice,) = read_all(source)
    assert len(frames) == 3
    assert notice.kind == "warning"
    assert notice.message == "GStreamer, maclip_frames: A stream is not decoded."


def test_a_live_pipeline_that_gives_nothing_is_lost_after_a_time_out():
    # The valve lets nothing through, as a camera without a signal.
    source = GStreamerSource(
        f"gst:videotestsrc is-live=true ! {SIZE} ! valve drop=true", silence_timeout=0.3
    )
    assert source.live
    with pytest.raises(SourceError, match=r"sent nothing for 0\.3 s"):
        list(source)


def test_closing_ends_a_wait_for_a_frame():
    source = GStreamerSource(f"gst:videotestsrc is-live=true ! {SIZE} ! valve drop=true")
    waiting = threading.Thread(target=lambda: list(source), name="waits")
    waiting.start()
    source.close()
    wait_for_end_of("waits")
    assert list(source) == []


def test_a_reader_takes_the_newest_and_connects_again():
    """The pipeline ends after five frames, which for a camera is a loss."""
    pipeline = f"gst:videotestsrc is-live=true num-buffers=5 ! {SIZE}"
    seen = []
    with read_source(pipeline) as reader:
        while not any(isinstance(item, Lost) for item in seen):
            item = reader.take(timeout=60)
            assert item is not None
            seen.append(item)
    assert isinstance(seen[0], SourceFrame)
    assert not any(isinstance(item, Ended) for item in seen)
