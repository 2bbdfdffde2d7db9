"""`maclip bench`: what is measured, and that it adds up; no test looks at how fast anything is."""

import itertools
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from maclip_runtime import PictureError, Scorer, UsageError
from maclip_runtime.cli.options import parse_size
from maclip_runtime.engines.engine import EncodingTime
from maclip_runtime.timing import stages
from maclip_runtime.timing.drawing import draw_frame
from maclip_runtime.timing.memory import measure_peak_memory
from maclip_runtime.timing.stages import Watch, measure, summarise, time_stages
from maclip_runtime.timing.yardstick import measure_sgemm

STAGES = ["decode", "views", "encode", "head", "score"]


@pytest.fixture
def scorer(rn_small_bundle):
    return Scorer(rn_small_bundle, engine="onnxruntime-cpu", threads=1)


@pytest.fixture
def picture(frame, tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(frame).save(path)
    return str(path)


def tick():
    """A clock that goes on by a second whenever it is read."""
    return map(float, itertools.count()).__next__


def test_percentiles_are_milliseconds_of_the_samples():
    stage = summarise("encode", [n / 1000 for n in range(101)])
    assert (stage.p50_ms, stage.p90_ms, stage.p99_ms) == pytest.approx((50, 90, 99))
    assert stage.mean_ms == pytest.approx(50)
    assert stage.pictures_per_second == pytest.approx(20)
    assert stage.samples == 101


def test_score_is_the_stages_of_the_same_picture_together():
    watch = Watch()
    for decode, encode in ((1.0, 10.0), (2.0, 30.0)):
        watch.note("decode", decode)
        watch.note("encode", encode)
    stages = {stage.stage: stage for stage in watch.summarise()}
    assert list(stages) == ["decode", "encode", "score"]
    assert stages["score"].p50_ms == pytest.approx(1e3 * (11 + 32) / 2)


class TimedEngine:
    """An engine whose time is told, on the clock of the test."""

    def __init__(self, engine, spent):
        self.engine, self.spent = engine, spent

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def submit(self, frame, views=None):
        features = self.engine.encode(frame, views)
        time = EncodingTime(self.spent, pixels=len(features) * 224**2)
        return SimpleNamespace(result=lambda: features, done=lambda: True, time=time)


def test_an_engines_stages_are_those_it_tells(scorer, picture):
    scorer.engine = TimedEngine(scorer.engine, {"upload": 1.0, "encode": 3.0})
    watch = Watch(lambda: 0.0)
    time_stages(scorer, picture, watch)
    assert watch.seconds == {"decode": [0.0], "upload": [1.0], "encode": [3.0], "head": [0.0]}
    assert watch.pixels == 7 * 224**2


def test_off_the_cpu_there_is_no_rate(scorer, picture):
    count_multiply_adds(scorer, 1000)
    scorer.engine = TimedEngine(scorer.engine, {"encode": 1.0})
    scorer.engine.name = "tensorrt"
    measurement = measure(scorer, [picture], repeats=2)
    assert [stage.stage for stage in measurement.stages] == ["decode", "encode", "head", "score"]
    assert measurement.rate is None


def test_every_picture_is_measured_in_every_pass(scorer, picture, pictures):
    count_multiply_adds(scorer, None)
    calls = []
    other = str(pictures / "224x224.png")
    measurement = measure(
        scorer, [picture, other], repeats=3, report=lambda: calls.append(None), clock=tick()
    )
    assert [stage.stage for stage in measurement.stages] == STAGES
    assert {stage.samples for stage in measurement.stages} == {6}
    assert measurement.views == (2 * 3 + 1) + 2
    assert len(calls) == 2 * (1 + 3 + 3)
    # The clock went on by one second between start and end of the stream.
    assert measurement.throughput.pictures == 6
    assert measurement.throughput.views == 3 * measurement.views


def test_the_rate_counts_the_pixels_that_the_encoder_gets(scorer, picture, monkeypatch):
    monkeypatch.setattr(stages, "measure_sgemm", lambda threads: 2000.0 * threads)
    count_multiply_adds(scorer, 1000)
    scorer.engine = TimedEngine(scorer.engine, {"views": 1.0, "encode": 2.0})
    measurement = measure(scorer, [picture], repeats=2, threads=4)
    assert measurement.rate.encoder == pytest.approx(1000 * 7 / 2)
    assert measurement.rate.sgemm == 8000
    assert measurement.rate.share == pytest.approx(7 / 16)


def test_without_a_count_of_multiply_adds_there_is_no_rate(scorer, picture):
    count_multiply_adds(scorer, None)
    assert measure(scorer, [picture], repeats=1).rate is None


def count_multiply_adds(scorer, count):
    """Let the manifest say that a view costs so many."""
    manifest = scorer.bundle.manifest
    files = tuple(
        replace(file, multiply_adds=count if file.role == "image_encoder" else None)
        for file in manifest.files
    )
    scorer.bundle = replace(scorer.bundle, manifest=replace(manifest, files=files))


def test_a_picture_that_cannot_be_read_ends_it(scorer):
    with pytest.raises(PictureError, match="gone.jpg: no such file"):
        measure(scorer, ["gone.jpg"], repeats=1)


def test_the_yardstick_is_a_product_that_onnxruntime_runs():
    assert measure_sgemm(threads=1, seconds=0.01) > 0


def test_peak_memory_only_grows():
    before = measure_peak_memory()
    ballast = np.ones(50_000_000, np.uint8)
    assert measure_peak_memory() >= before > 10
    assert ballast.all()


def test_the_drawn_frame_is_the_same_for_a_seed():
    first = draw_frame(240, 320)
    assert (first.shape, first.dtype) == ((240, 320, 3), np.uint8)
    assert np.array_equal(first, draw_frame(240, 320))
    assert not np.array_equal(first, draw_frame(240, 320, seed=1))
    assert first.std() > 10


def test_sizes_are_height_by_width():
    assert parse_size("800x1200", "--frame") == (800, 1200)
    for text in ("800", "0x10", "axb", "1000000x1"):
        with pytest.raises(UsageError, match=f"--frame {text}: "):
            parse_size(text, "--frame")


def test_json_has_settings_and_figures(maclip, rn_small_bundle, picture):
    done = maclip("bench", rn_small_bundle, picture, "--repeats", 2, "--threads", 1, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads(done.stdout)
    assert record["bundle"] == "rn-small.maclip"
    assert (record["engine"], record["precision"]) == ("onnxruntime-cpu", "fp32")
    assert (record["view_mode"], record["threads"], record["repeats"]) == ("exact", 1, 2)
    assert record["pictures"] == [picture]
    assert [stage["stage"] for stage in record["stages"]] == STAGES
    for stage in record["stages"]:
        assert stage["p50_ms"] <= stage["p90_ms"] <= stage["p99_ms"]
        assert stage["samples"] == 2
    assert record["views"] == 7
    assert record["peak_memory_mb"] > 0
    assert record["rate"].keys() == {"encoder", "sgemm", "share"}


def test_without_pictures_one_is_drawn(maclip):
    done = maclip("bench", "demo", "--repeats", 1, "--frame", "300x400")
    assert (done.returncode, done.stderr) == (0, "")
    for part in (*STAGES, "p99", "3 views", "pictures/s", "peak memory"):
        assert part in done.stdout


def test_dense_views_and_directories_can_be_measured(maclip, rn_small_bundle, picture, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(picture, folder)
    shutil.copy(picture, folder / "again.png")
    done = maclip("bench", rn_small_bundle, folder, "--views", "dense", "--repeats", 1, "--json")
    record = json.loads(done.stdout)
    assert (record["view_mode"], record["views"]) == ("dense", 14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.jpg"], "gone.jpg: no such file"),
        (["--frame", "800"], "--frame 800: not a size; give height x width"),
    ],
)
def test_errors_are_one_line(maclip, arguments, message):
    done = maclip("bench", "demo", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
