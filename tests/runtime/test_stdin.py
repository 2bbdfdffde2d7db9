"""`maclip score -`: a picture on stdin."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from maclip_runtime import Scorer


@pytest.fixture
def score_stdin(rn_small_bundle):
    def run(data, *arguments):
        command = ["score", "-", *map(str, arguments), "--bundle", str(rn_small_bundle)]
        return subprocess.run(
            [sys.executable, "-m", "maclip_runtime", *command, "--format", "jsonl"],
            input=data,
            capture_output=True,
            timeout=600,
        )

    return run


def test_a_picture_on_stdin_is_scored_in_its_place(score_stdin, rn_small_bundle, pictures):
    path = pictures / "225x225.png"
    done = score_stdin(path.read_bytes(), pictures / "224x224.png")
    assert (done.returncode, done.stderr) == (0, b"")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["path"], second["path"]) == ("-", str(pictures / "224x224.png"))
    assert first["score"] == pytest.approx(Scorer(rn_small_bundle).score(path).score, abs=1e-7)


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_what_is_no_picture_is_the_error_of_stdin_alone(score_stdin, pictures, data):
    done = score_stdin(data, pictures / "224x224.png")
    assert done.returncode == 1
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["path"] == "-"
    assert "error" in first
    assert "score" in second
    assert len(done.stderr.splitlines()) == 1


def test_stdin_is_one_picture_and_is_never_resumed(score_stdin, tmp_path):
    twice = score_stdin(b"", "-")
    resumed = score_stdin(b"", "--output", tmp_path / "a.csv", "--resume")
    for done, said in ((twice, b"2 times"), (resumed, b"--resume")):
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stdout == b""
    assert not list(tmp_path.iterdir())


def test_a_terminal_is_no_picture(rn_small_bundle):
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "maclip_runtime", "score", "-", "--bundle", str(rn_small_bundle)],
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=600,
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2
    assert "terminal" in done.stderr


def test_ctrl_c_ends_the_wait_for_a_picture(rn_small_bundle):
    with subprocess.Popen(
        [sys.executable, "-m", "maclip_runtime", "--verbose", "score", "-", "--bundle", "demo"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        assert waiting.stderr is not None
        for line in waiting.stderr:  # the engine is open, and what is left is to wait
            if "from stdin" in line:
                break
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(timeout=60) == 130
