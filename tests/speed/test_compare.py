"""The comparison on CPUs: what is compared, the statistics, the report; not how fast anything is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.speed import compare
from benchmarks.speed.compare_report import (
    Comparison,
    compare_rounds,
    draw_bars,
    summarise,
)
from benchmarks.speed.contenders import (
    EAGER,
    EAGER_BATCHED,
    TUNED,
    Contender,
    Run,
    Task,
    count_views,
    list_contenders,
    load_frame,
    run_contender,
)
from benchmarks.speed.machine import describe_host
from maclip_runtime.bundle.bundle import open_bundle
from maclip_runtime.errors import UsageError

ROOT = Path(__file__).parents[2]
FP32 = Contender("fp32, exact views", None, "fp32", "exact")
SETTINGS = {
    "bundle": "rn50.maclip",
    "weights": "RN50, RN50.pt",
    "sizes": [[1000, 800], [1200, 800], [1000, 800]],
    "pictures": ["a.png", "b.png", "c.png"],
    "views": 100,
    "rounds": 3,
    "threads": 2,
    "command": "python -m benchmarks.speed.compare",
}
# Seconds of three rounds; the middle round was a slow minute for everybody.
RUNS = {
    EAGER: [Run(10.0, 20.0, 1500.0, (0.7, 0.6)), Run(30.0, 20.0, 1600.0), Run(12.0, 20.0, 1550.0)],
    EAGER_BATCHED: [Run(5.0, 9.0, 900.0, (0.7, 0.6)), Run(20.0, 9.0, 900.0), Run(6.0, 9.0, 900.0)],
    FP32: [Run(2.0, 4.0, 400.0, (0.7, 0.6001)), Run(5.0, 4.0, 400.0), Run(3.0, 4.0, 400.0)],
}


@pytest.fixture
def comparison():
    return Comparison(summarise(RUNS, 100), {"fp16, dense views": "no memory"}, SETTINGS, "Box")


@pytest.fixture
def task(rn_small_bundle, tmp_path):
    rng = np.random.default_rng(3)
    paths = []
    for height, width in ((300, 400), (260, 500)):
        paths.append(tmp_path / f"{height}.png")
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(paths[-1])
    bundle = Path(rn_small_bundle)
    return Task(bundle, bundle.with_suffix(".pt"), tuple(paths), 1.0, 1)


def test_ratios_are_taken_within_a_round():
    ratio = compare_rounds(RUNS[EAGER], RUNS[FP32])
    assert (ratio.median, ratio.lowest, ratio.highest) == (5.0, 4.0, 6.0)


def test_rows_have_medians_and_the_largest_peak():
    eager, batched, fp32 = summarise(RUNS, 100)
    assert (eager.ratio.median, eager.ratio.lowest, eager.ratio.highest) == (1, 1, 1)
    assert (eager.ms_per_view, eager.cpu_ms_per_view, eager.peak_mb) == (120, 200, 1600)
    assert batched.ratio.median == 2.0
    assert batched.ratio_fastest.median == 1.0  # PyTorch's fastest row
    assert fp32.ratio_fastest.median == 2.5
    assert fp32.score_difference == pytest.approx(1e-4)
    assert fp32.seconds == (2.0, 5.0, 3.0)


def test_a_contender_that_failed_has_no_row_and_costs_nobody_elses():
    failed = [RUNS[FP32][0], Run(fault="no memory"), RUNS[FP32][2]]
    assert [row.name for row in summarise({**RUNS, FP32: failed}, 100)] == [
        EAGER.name,
        EAGER_BATCHED.name,
    ]
    assert summarise({EAGER: failed, FP32: RUNS[FP32]}, 100) == []


def test_markdown_has_a_row_each_and_says_what_was_measured(comparison):
    text = comparison.to_markdown()
    assert (
        "| fp32, exact views | 30.0 | 5.00 | 4.00 to 6.00 | 2.50 | 40.0 | 400 | 1.0e-04 |" in text
    )
    assert "3 pictures, 100 views (1000 x 800, 1200 x 800); 3 rounds, 2 threads" in text
    assert "- fp16, dense views: no memory" in text
    assert "`python -m benchmarks.speed.compare`" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_the_plot_has_a_bar_each(comparison, tmp_path):
    figure = draw_bars(comparison)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        row.name for row in comparison.rows[::-1]
    ]
    assert [bar.get_width() for bar in axes.patches] == [5.0, 2.0, 1.0]
    figure.savefig(tmp_path / "bars.png")


def test_the_machine_is_described():
    text = describe_host()
    assert f"{os.cpu_count()} cores" in text
    for package in ("numpy", "onnxruntime", "torch"):
        assert package in text


def test_the_rows_of_pytorch_then_every_graph_and_view_mode(bundle_of):
    names = [contender.name for contender in list_contenders(open_bundle(bundle_of("rn-small")))]
    assert names[:7] == [
        "eager PyTorch, all views in one batch",
        "eager PyTorch, 4 views a batch",
        "PyTorch, channels_last",
        "PyTorch, torch.compile, channels_last",
        "PyTorch, bfloat16, channels_last",
        "PyTorch, bfloat16, torch.compile, channels_last",
        "fp32, exact views",
    ]
    assert {"fp16, exact views", "fp32, dense views", "fp16, dense views"} <= set(names)
    without = list_contenders(open_bundle(bundle_of("rn-small")), compiled=False)
    assert names[3] not in {contender.name for contender in without}
    vit = [contender.name for contender in list_contenders(open_bundle(bundle_of("vit-small")))]
    assert "fp32, exact views" in vit
    assert not any("dense" in name for name in vit)


def test_pictures_are_scaled_down_and_never_up(task):
    assert load_frame(task.pictures[0], 1.0).shape == (300, 400, 3)
    small = load_frame(task.pictures[0], 0.06)
    assert small.shape == (212, 283, 3)


@pytest.mark.parametrize(
    "contender",
    [EAGER, EAGER_BATCHED, TUNED[0], TUNED[1], FP32],
    ids=["all", "four", "channels_last", "compiled", "fp32"],
)
def test_contenders_give_the_same_scores(task, contender):
    run = run_contender(contender, task)
    expected = run_contender(FP32, task)
    assert run.fault is None
    assert run.scores == pytest.approx(expected.scores, abs=5e-6)  # float32 rounding
    assert run.seconds > 0
    assert run.cpu_seconds > 0
    assert run.peak_mb > 0


def test_bfloat16_keeps_two_digits(task):
    run = run_contender(TUNED[2], task)
    expected = run_contender(FP32, task)
    assert run.scores == pytest.approx(expected.scores, abs=2e-2)  # 8 bits of mantissa, 50 layers


def test_a_contender_that_cannot_run_says_why(task):
    run = run_contender(Contender("int4", None, "int4", "exact"), task)
    assert run.scores == ()
    assert "int4" in run.fault


def test_rounds_go_forwards_and_backwards(monkeypatch):
    order = []
    monkeypatch.setattr(compare, "measure_apart", lambda contender, task: order.append(contender))
    runs = compare.run_rounds([EAGER, FP32], None, 3)
    assert order == [EAGER, FP32, FP32, EAGER, EAGER, FP32]
    assert {len(done) for done in runs.values()} == {3}


def test_views_are_counted_as_the_method_does(task):
    frames = [load_frame(path, 1.0) for path in task.pictures]
    assert count_views(open_bundle(task.bundle), frames) == (1 * 2 + 1) + (1 * 3 + 1)


def test_a_whole_run_writes_table_figures_and_plot(task, tmp_path):
    output = tmp_path / "out"
    done = run_script(task, "--output", output, "--rounds", 1, "--threads", 1, "--no-compile")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (output / "compare.md").read_text()
    assert f"| {EAGER.name} |" in done.stdout
    assert "| fp32, dense views |" in done.stdout
    record = json.loads((output / "compare.json").read_text())
    assert record["settings"]["views"] == 7
    assert record["faults"] == {}
    rows = {row["name"]: row for row in record["rows"]}
    assert rows["fp32, exact views"]["score_difference"] < 5e-6
    assert rows["fp32, exact views"]["ratio"].keys() == {"median", "lowest", "highest"}
    with Image.open(output / "compare.png") as plot:
        assert plot.format == "PNG"


def run_script(task, *more, **changes):
    options = {
        "bundle": task.bundle,
        "checkpoint": task.checkpoint,
        "pictures": task.pictures[0].parent,
    }
    pairs = [
        part for name, value in {**options, **changes}.items() for part in (f"--{name}", value)
    ]
    command = [sys.executable, "-m", "benchmarks.speed.compare", *pairs, *more]
    return subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pictures": "gone"}, "--pictures gone: no such file or directory"),
        ({"checkpoint": "gone.pt"}, "--checkpoint gone.pt: no such file"),
        ({"checkpoint": __file__}, "not what .* was made from"),
    ],
)
def test_wrong_usage_is_one_line(task, changes, message):
    done = run_script(task, **changes)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert re.search(message, done.stderr)


def test_an_empty_folder_of_pictures_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no pictures there"):
        compare.find_pictures([tmp_path])
