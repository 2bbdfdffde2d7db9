"""The sweep: its grid against the plain benchmark, the published setting marked, nothing else touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from benchmarks.accuracy import sweep
from benchmarks.accuracy.evaluation import score_dataset
from benchmarks.accuracy.grids import PUBLISHED_SETTING, collect_views, sweep_bases, sweep_shape
from benchmarks.accuracy.head import list_constants, load_head, replace_constants
from benchmarks.accuracy.options import DatasetName
from benchmarks.accuracy.readers import ReadOptions, read_dataset
from conftest import ScorerOf
from maclip_runtime.errors import UsageError

Miniature = Callable[[str], Path]


def test_grid_is_what_the_benchmark_measures(
    miniature: Miniature, scorer_of: ScorerOf, feature_folder: Path
) -> None:
    data = read_dataset("csiq", miniature("csiq"), ReadOptions())
    scorer = scorer_of("native")
    lambdas, alphas = (0.0, 0.5, 2.0), (0.0, 1.0, 3.0)
    grid = sweep_shape(collect_views(data, scorer, lambdas, feature_folder), lambdas, alphas)
    for row, lam in enumerate(lambdas):
        for column, alpha in enumerate(alphas):
            constants = replace_constants(PUBLISHED_SETTING, boxcox_lambda=lam, alpha=alpha)
            head = load_head(scorer.bundle, constants)
            scored = score_dataset(data, scorer, head, feature_folder)
            srcc = -stats.spearmanr(scored.cues["score"], scored.opinions).statistic  # DMOS
            assert grid.srcc[row, column] == pytest.approx(srcc)
    assert grid.published == (1, 1)


def test_bases_matter_by_their_difference_only(
    miniature: Miniature, scorer_of: ScorerOf, feature_folder: Path
) -> None:
    data = read_dataset("kadid10k", miniature("kadid10k"), ReadOptions())
    views = collect_views(data, scorer_of("native"), (0.5,), feature_folder)
    grid = sweep_bases(views, (0.6, 0.8, 1.0), (0.2, 0.4, 0.6))
    assert grid.published == (2, 2)
    for offset in (-1, 0, 1):
        diagonal = np.diagonal(grid.srcc, offset)
        np.testing.assert_allclose(diagonal, diagonal[0])


def test_published_setting_is_the_papers() -> None:
    assert list(list_constants(PUBLISHED_SETTING).values()) == [0.5, 1.0, 1.0, 0.6]


def test_grids_take_the_published_value_in() -> None:
    assert sweep.parse_grid("2,0", 0.5) == (0.0, 0.5, 2.0)
    assert sweep.parse_grid("1, 0.5", 0.5) == (0.5, 1.0)
    with pytest.raises(UsageError, match="not numbers"):
        sweep.parse_grid("1,,2", 0.5)


def test_script_reports_and_changes_nothing(
    miniature: Miniature,
    rn_small_bundle: Path,
    feature_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def snapshot(folder: Path) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    root, output = miniature("agiqa3k"), tmp_path / "out"
    before = snapshot(rn_small_bundle) | snapshot(root)
    sweep.main(
        DatasetName["agiqa3k"], root, str(rn_small_bundle), output, cache=feature_folder,
        threads=1, lambdas="0,1", alphas="0,2", similarity_bases="0,1", magnitude_bases="0,1",
    )  # fmt: skip
    assert snapshot(rn_small_bundle) | snapshot(root) == before
    assert {path.name for path in output.iterdir()} == {"sweep.md", "sweep.json", "sweep.png"}
    text = (output / "sweep.md").read_text()
    assert capsys.readouterr().out == text
    record = json.loads((output / "sweep.json").read_text())
    for grid in record["grids"]:
        row, column = grid["published"]
        assert f"**{grid['srcc'][row][column]:.3f}**" in text
    assert record["grids"][0]["lambda"] == [0, 0.5, 1]
    with Image.open(output / "sweep.png") as image:
        image.load()
