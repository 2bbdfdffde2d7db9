"""A network camera: a real RTSP server on 127.0.0.1, killed, frozen, and back again."""

from __future__ import annotations

import pytest

from footage import wait_for_end_of
from maclip_runtime.errors import SourceError
from maclip_runtime.sources.reader import SourceReader
from maclip_runtime.sources.select import open_source
from maclip_runtime.sources.source import Lost, Reconnected, SourceFrame, hide_password
from maclip_runtime.sources.video import VideoSource

PATIENCE = 120  # seconds that a test waits before it is certain that nothing comes


def take_until(reader, kind):
    """The next item of a kind; what comes before it is passed over."""
    while True:
        item = reader.take(timeout=PATIENCE)
        assert item is not None, f"no {kind.__name__} within {PATIENCE} s"
        if isinstance(item, kind):
            return item


def test_a_camera_is_live_and_sends_frames(camera):
    source = open_source(camera.url)
    assert source.live
    frames = []
    for item in source:
        if isinstance(item, SourceFrame):
            frames.append(item)
        if len(frames) == 20:
            break
    source.close()
    assert frames[0].pixels.shape == (240, 320, 3)
    times = [frame.time for frame in frames]
    assert times[0] == 0
    assert times == sorted(times)
    assert [frame.index for frame in frames] == list(range(20))


def test_a_camera_that_dies_is_lost(camera):
    source = open_source(camera.url)
    items = iter(source)
    assert isinstance(next(items), SourceFrame)
    camera.kill()
    with pytest.raises(SourceError) as raised:
        list(items)
    assert raised.value.transient
    assert "\n" not in str(raised.value)


def test_a_camera_that_sends_nothing_is_lost_after_a_time_out(camera):
    source = VideoSource(camera.url, silence_timeout=1)
    items = iter(source)
    assert isinstance(next(items), SourceFrame)
    camera.freeze()
    with pytest.raises(SourceError, match="sent nothing for 1 s") as raised:
        list(items)
    assert raised.value.transient


def test_a_camera_that_comes_back_is_connected_again(camera):
    with SourceReader("camera", lambda: open_source(camera.url)) as reader:
        before = take_until(reader, SourceFrame)
        camera.kill()
        assert take_until(reader, Lost).reason
        assert not reader.up
        camera.start()
        take_until(reader, Reconnected)
        after = take_until(reader, SourceFrame)
        assert reader.up
        assert after.index > before.index
        assert after.time > before.time


def test_closing_ends_a_read_that_waits_for_a_frozen_camera(camera):
    with SourceReader("frozen", lambda: open_source(camera.url)) as reader:
        take_until(reader, SourceFrame)
        camera.freeze()
    wait_for_end_of("read frozen")


def test_a_camera_that_does_not_answer_may_be_tried_again(camera):
    camera.kill()
    with pytest.raises(SourceError, match="cannot be opened: Connection refused") as raised:
        open_source(camera.url)
    assert raised.value.transient


def test_a_path_that_the_server_does_not_have_says_so(camera):
    with pytest.raises(SourceError, match="no such stream: check the path") as raised:
        open_source(camera.url + "/elsewhere")
    assert not raised.value.transient


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://admin:s3cret@10.0.0.9:554/ch1", "rtsp://admin:***@10.0.0.9:554/ch1"),
        ("rtsp://admin:p@ss@10.0.0.9/ch1", "rtsp://admin:***@10.0.0.9/ch1"),
        ("rtsp://10.0.0.9:554/ch1", "rtsp://10.0.0.9:554/ch1"),
        ("gst:rtspsrc location=rtsp://a:b@c/d ! x", "gst:rtspsrc location=rtsp://a:***@c/d ! x"),
        ("clips/a:b@c.mp4", "clips/a:b@c.mp4"),
    ],
)
def test_passwords_are_not_shown(source, shown):
    assert hide_password(source) == shown


def test_an_error_does_not_show_the_password():
    with pytest.raises(SourceError) as raised:
        open_source("rtsp://admin:s3cret@127.0.0.1:1/ch1")
    assert "s3cret" not in str(raised.value)
