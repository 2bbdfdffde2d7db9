"""The fidelity benchmark compares every precision and view mode with float32 on exact views."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy.fidelity import SEVERITIES, measure_ladders, score_ladders, write_table
from maclip_export.quality.distortions import KINDS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def picture(tmp_path):
    return Path(shutil.copy(ROOT / "samples" / "chelsea.jpg", tmp_path))


def test_every_precision_and_view_mode_scores_every_version(picture, monkeypatch):
    monkeypatch.setattr(
        "benchmarks.accuracy.fidelity.KINDS", {"gaussian_blur": KINDS["gaussian_blur"]}
    )
    scores = score_ladders("demo", [picture])
    assert list(scores) == [("fp32", "exact"), ("fp32", "dense")]
    assert all(len(values) == len(SEVERITIES) for values in scores.values())
    exact, dense = scores.values()
    assert exact != dense
    assert measure_ladders(exact) > 0.9
    table = write_table(scores).splitlines()
    assert len(table) == 4
    assert "| fp32 | exact | 1.0000 | +0.0000 | 0.0000 |" in table[2]


def test_ladders_are_ranked_by_their_fall():
    falling, rising = np.linspace(1, 0, 5), np.linspace(0, 1, 5)
    assert measure_ladders([*falling]) == pytest.approx(1)
    assert measure_ladders([*falling, *rising]) == pytest.approx(0)
