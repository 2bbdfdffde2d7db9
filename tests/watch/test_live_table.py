"""The live table: what it shows, that it fits, and that a terminal gets it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from maclip_runtime import Reading
from maclip_runtime.method.head import Cues
from maclip_runtime.results.live_table import draw_sparkline, show_table
from maclip_runtime.stream.events import Event
from maclip_runtime.stream.status import Observation, SourceStatus

NO_CUES = Cues({}, {}, np.empty(0, np.float32), np.empty((0, 0), np.float32))
READING = Reading(
    frame=0, time=0.0, score=0.7, similarity=0.7, magnitude=0.7, weight=0.6, attributes={}, views=99,
    refreshed=11, fresh=0.25, detail=10.0, scene=False, width=640, height=360, enlarged=False, cues=NO_CUES,
)  # fmt: skip


def make_status(name, scores, event=None, up=True):
    status = SourceStatus(name, lambda: up)
    for second, score in enumerate(scores):
        reading = replace(READING, score=score, time=float(second))
        at_end = event if second == len(scores) - 1 else None
        status.note(Observation(name, second, float(second), reading, at_end, 7, 0.034))
    return status


def show(statuses, width, monkeypatch, height=24):
    stream = io.StringIO()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", str(height))
    with show_table(statuses, "bundle demo", stream):
        pass
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_a_row_has_everything_and_fits(width, monkeypatch):
    names = ["rtsp://camera-entrance.example:554/stream1", "clip.mp4"]
    statuses = [make_status(name, [0.5, 0.6, 0.7], Event("alert")) for name in names]
    lines = show(statuses, width, monkeypatch)
    assert max(map(len, lines)) <= width
    row = next(line for line in lines if "clip.mp4" in line)
    for part in ("0.700", "▁", "25%", " 7 ", "34 ms", "alert 0:02"):
        assert part in row
    assert ("11 of 99" in row) == (width == 120)
    # Cameras are told apart by both ends of their addresses.
    camera = next(line for line in lines if "ream1" in line)
    assert camera.strip().startswith("came")


def test_what_needs_attention_comes_first_where_not_all_fit(monkeypatch):
    statuses = [make_status(f"{number}.mp4", [0.5 + number / 100]) for number in range(30)]
    statuses += [
        make_status("low.mp4", [0.9], Event("alert")),
        make_status("gone", [0.9], up=False),
    ]
    lines = show(statuses, 80, monkeypatch, height=15)
    names = [line.split()[0] for line in lines if line.split() and "." in line.split()[0]]
    assert names[0] == "low.mp4"
    assert "22 more sources" in "\n".join(lines)
    assert "29.mp4" not in names


def test_a_sparkline_goes_from_the_lowest_to_the_highest():
    assert draw_sparkline([]) == ""
    assert draw_sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert len(set(draw_sparkline([0.5, 0.501, 0.499]))) <= 2  # noise is not magnified


@pytest.mark.skipif(sys.platform != "linux", reason="needs a pseudo-terminal")
def test_a_terminal_gets_the_table_and_its_last_state_stays(video):
    import pty

    path = video("a.mp4", times=range(5))
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "maclip_runtime", "watch", str(path), "--bundle", "demo"],
        stdout=terminal,
        stderr=subprocess.PIPE,
        env={**os.environ, "COLUMNS": "100", "LINES": "24", "TERM": "xterm"},
    )
    os.close(terminal)
    shown = b""
    try:
        while data := os.read(master, 65536):
            shown += data
    except OSError:  # Linux's way to say that the other side is closed
        pass
    os.close(master)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    text = shown.decode()
    last = text[text.rindex("source") :]
    assert "ended" in last
    assert "100%" in last
    assert "onnxruntime-cpu" in last
    assert "{" not in last  # no JSON lines among it
