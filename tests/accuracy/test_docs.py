"""docs/accuracy.md against the code: every dataset and every published figure is in its table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.accuracy.published_figures import PUBLISHED
from benchmarks.accuracy.readers import READERS
from maclip_runtime import Scorer

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", [name for name in READERS if name != "csv"])
def test_table_has_every_dataset_with_its_preset_and_figures(name: str) -> None:
    lines = (DOCS / "accuracy.md").read_text().splitlines()
    (row,) = [line for line in lines if line.startswith("|") and f"| `{name}` |" in line]
    assert f"| {READERS[name].preset} |" in row
    if name in PUBLISHED:
        published = PUBLISHED[name]
        assert f"| {published.maclip:.3f} | {published.clip_iqa:.3f} |" in row
    assert "not measured here" in row


def test_ladder_figures_are_the_shipped_demo_encoders() -> None:
    demo = Scorer("demo").bundle
    record = json.loads((DOCS / "accuracy" / "ladders.json").read_text())
    shipped = demo.find("image_encoder", "fp32").sha256
    assert record["graph_sha256"] == shipped, "the demo encoder changed: run make bench-accuracy"
