"""`maclip bench`: what is measured, and that it adds up; no test looks at how fast anything is."""

import itertools
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from maclip_runtime.bench import find_cut
from PIL import Image

from maclip_runtime import Scorer, bench
from maclip_runtime.cli.bench import parse_size
from maclip_runtime.errors import PictureError, UsageError
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


def test_cutting_is_taken_off_the_engines_time(scorer, picture):
    now = 0.0

    def pass_time(seconds, result):
        nonlocal now
        now += seconds
        return result

    cut = find_cut(scorer)
    engine = scorer.engine
    scorer.engine = SimpleNamespace(
        encode=lambda frame: pass_time(5.0, engine.encode(frame)), name="", precision="fp32"
    )
    scorer.engine.view_mode = "exact"
    watch = Watch(lambda: now)
    time_stages(scorer, picture, lambda frame: pass_time(2.0, cut(frame)), watch)
    assert watch.seconds == {"decode": [0.0], "views": [2.0], "encode": [3.0], "head": [0.0]}


def test_an_engine_that_takes_frames_has_its_views_in_encode(scorer, picture):
    scorer.engine.name = "tensorrt"
    assert find_cut(scorer) is None
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


@pytest.mark.parametrize("mode", ["exact", "dense"])
def test_the_engine_is_given_what_is_cut(rn_small_bundle, frame, mode):
    scorer = Scorer(rn_small_bundle, engine="onnxruntime-cpu", views=mode)
    portions = [portion.copy() for portion in find_cut(scorer)(frame)]
    session = scorer.engine._session
    features = [session.run(["features"], {"pixels": portion})[0] for portion in portions]
    assert np.concatenate(features) == pytest.approx(scorer.engine.encode(frame), abs=1e-5)


def test_the_rate_counts_the_pixels_that_the_encoder_gets(rn_small_bundle, picture, monkeypatch):
    monkeypatch.setattr(bench, "measure_sgemm", lambda threads: 2000.0 * threads)
    # Per pass: decode takes no time, cutting a second, the engine three with it, the head none.
    readings = [0, 0, 0, 1, 1, 4, 4, 4] * 2 + [0, 1]
    areas = {"exact": 7, "dense": (352 * 480) / 224**2 + 1}  # 2 x 3 windows and the global view
    for mode, area in areas.items():
        scorer = Scorer(rn_small_bundle, engine="onnxruntime-cpu", views=mode)
        count_multiply_adds(scorer, 1000)
        clock = iter(readings).__next__
        measurement = measure(scorer, [picture], repeats=2, threads=4, clock=clock)
        assert measurement.rate.encoder == pytest.approx(1000 * area / 2)
        assert measurement.rate.sgemm == 8000
        assert measurement.rate.share == pytest.approx(area / 16)


def test_without_a_count_of_multiply_adds_there_is_no_rate(scorer, picture):
    count_multiply_adds(scorer, None)
    assert measure(scorer, [picture], repeats=1).rate is None


def count_multiply_adds(scorer, count):
    """Let the manifest say that a view costs so many."""
    manifest = scorer.bundle.manifest
    files = tuple(
        replace(file, multiply_adds=count if file.kind == "image_encoder" else None)
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
    assert parse_size("800x1200") == (800, 1200)
    for text in ("800", "0x10", "axb", "1000000x1"):
        with pytest.raises(UsageError, match="height x width"):
            parse_size(text)


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
        (["--frame", "800"], "--frame 800: give height x width"),
    ],
)
def test_errors_are_one_line(maclip, arguments, message):
    done = maclip("bench", "demo", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
