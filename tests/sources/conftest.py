"""What a machine must have for these tests: PyAV, and GStreamer with its RTSP server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cameras import SYSTEM_PYTHON, Camera


def _require(present: bool, what: str) -> None:
    """Skip the test for want of something, by its name; in CI that is a failure."""
    if present:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"needs {what}")


@pytest.fixture
def camera() -> Iterator[Camera]:
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    found = (
        Path(SYSTEM_PYTHON).exists()
        and not subprocess.run([SYSTEM_PYTHON, "-c", check], stderr=subprocess.DEVNULL).returncode
    )
    _require(found, "gir1.2-gst-rtsp-server-1.0 for /usr/bin/python3 (tests/system_packages.sh)")
    started = Camera()
    yield started
    started.kill()


@pytest.fixture
def video(tmp_path: Path) -> Callable[..., Path]:
    """Write a video into the test's folder: `video("a.mp4", codec=..., ...)`."""
    from footage import write_video

    return lambda name, **settings: write_video(tmp_path / name, **settings)
