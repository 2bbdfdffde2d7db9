"""Which source a SOURCE means, and what is said where its library is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from maclip_runtime.errors import SourceError
from maclip_runtime.sources.folder import FolderSource
from maclip_runtime.sources.select import is_camera, open_source
from maclip_runtime.sources.video import VideoSource


@pytest.mark.parametrize(
    ("source", "camera"),
    [
        ("rtsp://10.0.0.9/ch1", True),
        ("RTSPS://10.0.0.9/ch1", True),
        ("/dev/video0", True),
        ("clip.mp4", False),
        ("https://example.org/clip.mp4", False),
        ("gst:v4l2src", False),
        ("-", False),
    ],
)
def test_cameras_are_known_by_their_name(source, camera):
    assert is_camera(source) is camera


def test_a_folder_and_a_file_are_told_apart(video, tmp_path, pictures):
    assert isinstance(open_source(str(pictures)), FolderSource)
    assert isinstance(open_source(str(video("a.mp4"))), VideoSource)


@pytest.mark.parametrize(
    ("library", "source", "says"),
    [
        ("av", "clip.mp4", "pip install 'maclip-edge[video]'"),
        ("av", "rtsp://127.0.0.1:1/x", "pip install 'maclip-edge[video]'"),
        ("gi", "gst:videotestsrc", "apt-get install python3-gst-1.0"),
    ],
)
def test_a_missing_library_is_one_line_that_says_how_to_get_it(monkeypatch, library, source, says):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SourceError) as raised:
        open_source(source)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not raised.value.transient


def test_choosing_a_source_loads_no_library_of_another():
    program = (
        "from maclip_runtime.sources.reader import read_source; import sys; "
        "print([name for name in ('av', 'gi', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
