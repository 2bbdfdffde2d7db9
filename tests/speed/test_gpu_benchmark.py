"""The GPU benchmark without a GPU: everything but the CUDA calls, on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed import gpu
from benchmarks.speed.baseline import Tuning
from benchmarks.speed.subjects import PYTORCH, TUNINGS, Spec, find_specs
from maclip_runtime import Scorer
from maclip_runtime.bundle.bundle import open_bundle
from maclip_runtime.engines.driver import Driver, Gpu, find_driver
from maclip_runtime.errors import UsageError

ROOT = Path(__file__).parents[2]
CPU = Spec("onnxruntime-cpu", "fp32", device="cpu")
EAGER = Spec(PYTORCH, "fp32", device="cpu")
TUNED = Spec(PYTORCH, "fp32", device="cpu", tuning=Tuning(channels_last=True))
SIZE = (240, 360)
QUICK = gpu.Extent(repeats=1, samples=3, budget=60.0, warm_up=0.0, sustained=0.5)


@pytest.fixture
def checkpoint(rn_small_bundle):
    return rn_small_bundle.with_suffix(".pt")


@pytest.mark.skipif(find_driver() is not None, reason="this machine has a GPU")
def test_without_a_gpu_it_ends_with_one_line(rn_small_bundle):
    command = [sys.executable, "-m", "benchmarks.speed.gpu", "--bundle", rn_small_bundle]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: no NVIDIA driver or GPU on this machine")
    assert done.stderr.count("\n") == 1


def test_sizes_are_height_by_width():
    assert gpu.parse_sizes("720x1280, 1080x1920") == [(720, 1280), (1080, 1920)]


@pytest.mark.parametrize("text", ["", "720", "720x", "100x1280", "720x1280;1080x1920", "axb"])
def test_other_sizes_are_refused(text):
    with pytest.raises(UsageError, match="--sizes .*(height x width|at least 224 pixels)"):
        gpu.parse_sizes(text)


def test_frames_are_photographs_of_the_size():
    frames = gpu.draw_frames(*SIZE)
    assert len(frames) == 3
    for frame in frames:
        assert frame.shape == (*SIZE, 3)
        assert frame.dtype == np.uint8
        assert frame.flags.c_contiguous
        assert frame.std() > 10


@pytest.mark.parametrize("spec", [CPU, EAGER, TUNED], ids=["engine", "eager", "tuned"])
def test_a_subject_is_measured(spec, rn_small_bundle, checkpoint):
    result = gpu.measure_spec(spec, SIZE, str(rn_small_bundle), checkpoint, QUICK, None)
    assert result.fault is None
    expected = Scorer(rn_small_bundle, engine="onnxruntime-cpu").score(gpu.draw_frames(*SIZE)[0])
    assert result.score == pytest.approx(expected.score, abs=5e-6)
    assert result.timing.wall.p50 > 0
    assert result.timing.device is None  # there is no device
    assert result.memory is None
    assert result.seconds > 0
    assert result.sustained.frames >= 1
    assert result.sustained.seconds >= 0.5
    assert result.conditions is None


def test_a_failure_is_the_results_fault(rn_small_bundle):
    spec = Spec("onnxruntime-cuda", "fp16")
    result = gpu.measure_spec(spec, SIZE, str(rn_small_bundle), None, QUICK, None)
    assert result.timing is None
    assert result.fault
    assert "\n" not in result.fault


def test_a_process_that_dies_costs_one_row(rn_small_bundle, monkeypatch):
    monkeypatch.setattr(gpu, "measure_spec", die)
    result = gpu.measure_apart(CPU, SIZE, str(rn_small_bundle), None, QUICK, None)
    assert "process died" in result.fault


def die(*arguments):
    import os

    os._exit(1)


def test_plans_for_one_size_are_measured_at_that_size_only(monkeypatch):
    monkeypatch.setattr(gpu, "measure_apart", lambda spec, size, *rest: (spec.engine, size))
    specs = [Spec("tensorrt", "fp16", "a.plan", takes=(720, 1280)), CPU]
    done = gpu.measure_all(specs, [(720, 1280), SIZE], "b", None, QUICK, None)
    assert done == [("tensorrt", (720, 1280)), (CPU.engine, (720, 1280)), (CPU.engine, SIZE)]


def test_whole_run_prints_a_table_and_writes_json(
    rn_small_bundle, checkpoint, monkeypatch, capsys, tmp_path
):
    driver = Driver((13, 0), (Gpu("Card 9000", "86", 24 * 10**9),))
    monkeypatch.setattr(gpu, "find_driver", lambda: driver)
    monkeypatch.setattr(gpu, "find_specs", lambda *a, **k: ([EAGER, CPU], ["a note"]))
    output = tmp_path / "gpu.json"
    gpu.main(
        str(rn_small_bundle),
        checkpoint=checkpoint,
        sizes="240x360",
        repeats=1,
        samples=3,
        budget=60.0,
        warm_up=0.0,
        sustained=0.5,
        output=output,
    )
    report = capsys.readouterr().out
    assert "Card 9000" in report
    assert "### 240 x 360" in report
    assert "| onnxruntime-cpu | fp32 |" in report
    assert "| published method, eager PyTorch (CPU) | fp32 |" in report
    assert "Sustained: a stream of 0.5 s" in report
    assert "- NVML does not tell of Card 9000" in report
    scores = [result["score"] for result in json.loads(output.read_text())["results"]]
    assert scores[0] == pytest.approx(scores[1], abs=5e-6)


def test_another_checkpoint_is_refused(rn_small_bundle, bundle_of):
    other = bundle_of("vit-small").with_suffix(".pt")
    with pytest.raises(UsageError, match="not what .* was made from"):
        find_specs(open_bundle(rn_small_bundle), other, cpu=False)
    with pytest.raises(UsageError, match="no such file"):
        find_specs(open_bundle(rn_small_bundle), Path("gone.pt"), cpu=False)


@pytest.mark.skipif(find_driver() is not None, reason="this machine has a GPU")
def test_missing_engines_are_named_with_what_to_do(rn_small_bundle, checkpoint):
    specs, notes = find_specs(open_bundle(rn_small_bundle), checkpoint, cpu=True)
    tuned = [Spec(PYTORCH, "fp16", tuning=tuning) for tuning in TUNINGS]
    assert specs == [Spec(PYTORCH, "fp32"), Spec(PYTORCH, "fp16"), *tuned, CPU]
    assert [note.split(":")[0] for note in notes] == ["tensorrt", "tensorrt-rtx", "onnxruntime"]
