"""The GPU benchmark as a user runs it, briefly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).parents[2]


def test_the_baseline_is_measured_on_the_card(gpu, rn_small_bundle, tmp_path):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA, or not for this driver")
    output = tmp_path / "gpu.json"
    command = [
        sys.executable, "-m", "benchmarks.speed.gpu", "--bundle", rn_small_bundle, "--cpu",
        "--output", output, "--checkpoint", rn_small_bundle.with_suffix(".pt"), "--sizes", "480x640",
        "--repeats", "2", "--samples", "20", "--budget", "5",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert gpu.name in done.stdout
    results = json.loads(output.read_text())["results"]
    eager = [result for result in results if result["spec"]["engine"] == "pytorch"]
    assert [result["spec"]["precision"] for result in eager] == ["fp32", "fp16"]
    for result in eager:
        assert result["fault"] is None
        assert 0 < result["timing"]["upload"]["p50"] < result["timing"]["device"]["p50"]
        assert result["memory"] > 0
    scores = [result["score"] for result in results if result["score"] is not None]
    assert max(scores) - min(scores) < 2e-3
