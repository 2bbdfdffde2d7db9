"""The example that scores raw frames from a pipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from maclip_runtime import Scorer

SCRIPT = Path(__file__).parents[2] / "examples" / "score_stream.py"


def run(data, *arguments):
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, timeout=120)


def test_every_frame_of_a_stream_gets_its_score(rn_small_bundle, frame):
    frames = [frame, frame[::-1], frame[:, ::-1]]
    data = b"".join(np.ascontiguousarray(each).tobytes() for each in frames)
    height, width = frame.shape[:2]
    done = run(data, "--bundle", rn_small_bundle, "--size", f"{height}x{width}")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [result.score for result in Scorer(rn_small_bundle).score_many(frames)]
    assert [row["frame"] for row in rows] == [0, 1, 2]
    assert [row["score"] for row in rows] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("size", "reason"), [("300x400", "inside a frame"), ("1080p", "height x width")]
)
def test_errors_are_one_line(size, reason):
    done = run(b"abc", "--size", size)
    assert done.returncode == 2
    assert reason in done.stderr.decode()
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1
