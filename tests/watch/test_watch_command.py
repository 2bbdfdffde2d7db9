"""`maclip watch` as a user runs it: on files, pipes and a real camera."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from footage import FRAMES, write_video
from maclip_runtime import Scorer

LINE = {
    "source", "frame", "time", "score", "similarity", "magnitude", "attributes", "views",
    "refreshed", "fresh", "dropped", "latency_ms",
}  # fmt: skip
DEMO = ("--bundle", "demo")


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> Path:
    """A real H.264 file of 30 frames, 640 x 360: 3 x 2 windows."""
    return write_video(tmp_path_factory.mktemp("videos") / "a.mp4", size=(640, 360))


@pytest.fixture(scope="session")
def other_video(tmp_path_factory) -> Path:
    """A real HEVC file of 30 frames, 320 x 240."""
    return write_video(tmp_path_factory.mktemp("videos") / "b.mp4", codec="libx265")


def start(*arguments, **options):
    """`maclip watch` in a process of its own, its lines to be read as they come."""
    return subprocess.Popen(
        [sys.executable, "-m", "maclip_runtime", "watch", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def read_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_file_gives_a_line_a_frame_in_order(maclip, video):
    done = maclip("watch", video, *DEMO, "--views-per-frame", "all")
    assert done.returncode == 0, done.stderr
    lines = read_lines(done.stdout)
    assert len(lines) == FRAMES
    assert all(line.keys() == LINE for line in lines)
    assert [line["frame"] for line in lines] == list(range(FRAMES))
    assert [line["time"] for line in lines] == pytest.approx([n / 25 for n in range(FRAMES)])
    assert all(line["views"] == line["refreshed"] and line["dropped"] == 0 for line in lines)
    assert f"{video}: {FRAMES} frames, score" in done.stderr


def test_scores_with_all_views_are_those_of_the_frames(maclip, video):
    import av

    done = maclip("watch", video, *DEMO, "--views-per-frame", "all", "--every", "10")
    lines = read_lines(done.stdout)
    assert [line["frame"] for line in lines] == [0, 10, 20]
    from maclip_runtime.sources.select import open_source

    frames = [item.pixels for item in open_source(str(video)) if hasattr(item, "pixels")]
    with Scorer("demo") as scorer:
        expected = [scorer.score(frames[number]).score for number in (0, 10, 20)]
    assert [line["score"] for line in lines] == pytest.approx(expected, abs=1e-6)
    assert av.__version__


def test_csv_says_what_json_says(maclip, other_video):
    arguments = ("watch", other_video, *DEMO, "--views-per-frame", "all")
    rows = list(csv.DictReader(io.StringIO(maclip(*arguments, "--format", "csv").stdout)))
    lines = read_lines(maclip(*arguments).stdout)
    assert [float(row["score"]) for row in rows] == [line["score"] for line in lines]
    for row, line in zip(rows, lines, strict=True):
        for name, value in line["attributes"].items():
            assert float(row[f"attribute_{name}"]) == value


def test_two_sources_are_both_watched_to_their_ends(maclip, video, other_video):
    lines = read_lines(maclip("watch", video, other_video, *DEMO).stdout)
    for source in (video, other_video):
        frames = [line["frame"] for line in lines if line["source"] == str(source)]
        assert frames == list(range(FRAMES))


def test_a_folder_is_a_sequence_and_a_broken_picture_does_not_end_it(maclip, tmp_path):
    for number in range(3):
        Image.fromarray(np.full((240, 240, 3), 60 * number, np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    (tmp_path / "1.png").write_text("no picture")
    done = maclip("watch", tmp_path, *DEMO)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    assert "1.png" in done.stderr


def test_raw_frames_on_stdin_in_every_pixel_format():
    size = {"rgb24": 3, "bgr24": 3, "nv12": 1.5, "yuyv422": 2, "gray8": 1}
    for pixel_format, per_pixel in size.items():
        frame = np.random.default_rng(0).integers(0, 256, int(240 * 320 * per_pixel), np.uint8)
        process = start("-", *DEMO, "--size", "240x320", "--pixel-format", pixel_format, stdin=-1)
        out, err = process.communicate(frame.tobytes() * 2 + b"cut", timeout=60)
        assert process.returncode == 0, err
        assert len(out.splitlines()) == 2, pixel_format
        assert b"its last frame has 3 of" in err


def test_alerts_scenes_and_the_exit_status_that_was_asked_for(maclip, video):
    done = maclip(
        "watch", video, *DEMO, "--alert-below", "2", "--alert-after", "0.2", "--fail-on-alert"
    )
    assert done.returncode == 3
    events = [line["event"] for line in read_lines(done.stdout) if "event" in line]
    assert events == ["alert"]
    assert "alert at 0.2 s: score" in done.stderr
    assert maclip("watch", video, *DEMO, "--alert-below", "-1", "--fail-on-alert").returncode == 0


def test_a_report_and_a_file_of_lines(maclip, video, tmp_path):
    output, report = tmp_path / "lines.jsonl", tmp_path / "report.html"
    done = maclip("watch", video, *DEMO, "--output", output, "--report", report)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(output.read_text().splitlines()) == FRAMES
    page = report.read_text()
    assert str(video) in page
    assert "data:image/" in page  # the worst frames
    assert "https://" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.mp4"], "gone.mp4: "),
        (["-"], "--size"),
        (["a.mp4", "a.mp4"], "given twice"),
        (["a.mp4", "--views-per-frame", "0"], "--views-per-frame 0"),
        (["a.mp4", "--metrics", "9108"], "give HOST:PORT"),
        (["a.mp4", "--alert-after", "3"], "of no use without --alert-below"),
        (["a.mp4", "--size", "1x1"], "--size is of raw frames"),
    ],
)
def test_wrong_use_is_one_line(maclip, arguments, message):
    done = maclip("watch", *arguments, *DEMO)
    assert done.returncode in (1, 2)
    assert any(message in line for line in done.stderr.splitlines()), done.stderr
    assert "Traceback" not in done.stderr


def test_one_source_that_fails_does_not_end_the_others(maclip, video):
    done = maclip("watch", video, "gone.mp4", *DEMO)
    assert done.returncode == 1
    assert len(read_lines(done.stdout)) == FRAMES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_cleanly_with_a_summary_and_loses_no_line(video, number):
    """The source is a pipe that stays open, so that only the signal ends it."""
    read, write = os.pipe()
    process = start("-", *DEMO, "--size", "240x320", stdin=read)
    os.close(read)
    with os.fdopen(write, "wb", buffering=0) as pipe:
        pipe.write(bytes(240 * 320 * 3))
        line = json.loads(process.stdout.readline())
        assert line["frame"] == 0
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
    assert b"-: 1 frames, score" in process.stderr.read()


def test_a_reader_that_has_had_enough_is_no_traceback(video):
    process = start(video, *DEMO)
    process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=60)
    assert b"Traceback" not in process.stderr.read()


def test_a_full_disk_is_one_line(maclip, video):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    done = maclip("watch", video, *DEMO, "--output", "/dev/full")
    assert done.returncode == 1
    assert "cannot be written (No space left on device)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_camera_that_dies_is_lost_and_comes_back(camera):
    process = start(camera.url, *DEMO, "--views-per-frame", "1", "--metrics", "127.0.0.1:0")
    try:
        first = json.loads(process.stdout.readline())
        assert first["source"] == camera.url
        address = next(
            line.split()[-1] for line in iter(process.stderr.readline, b"") if b"metrics at" in line
        )
        camera.kill()
        events = []
        for line in iter(process.stdout.readline, b""):
            event = json.loads(line).get("event")
            if event == "lost":
                events.append(event)
                metrics = urllib.request.urlopen(address.decode(), timeout=10).read().decode()
                assert f'maclip_up{{source="{camera.url}"}} 0.0' in metrics
                assert f'maclip_events_total{{event="lost",source="{camera.url}"}}' in metrics
                assert "maclip_latency_seconds_bucket" in metrics
                camera.start()
            elif event == "reconnected":
                events.append(event)
                break
        assert events == ["lost", "reconnected"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0  # a camera has no end: its user ended it
    finally:
        process.kill()
        process.wait()
