"""The dataset benchmark from miniature to report."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from benchmarks.accuracy import datasets
from benchmarks.accuracy.dataset_report import Report
from benchmarks.accuracy.evaluation import compare_cues, score_dataset
from benchmarks.accuracy.head import CUES, load_head
from benchmarks.accuracy.options import DatasetName
from benchmarks.accuracy.readers import READERS, DatasetError, ReadOptions, read_dataset
from conftest import ScorerOf
from maclip_runtime import open_bundle
from maclip_runtime.bundle.staging import write_manifest, write_prompts

Miniature = Callable[[str], Path]
ROOT = Path(__file__).parents[2]
RESULTS = {"report.md", "report.json", "scores.csv", "scatter.png"}


def make_report(name: str, root: Path, scorer_of: ScorerOf, cache: Path) -> Report:
    scorer = scorer_of(READERS[name].preset)
    head = load_head(scorer.bundle)
    data = read_dataset(name, root, ReadOptions())
    scored = score_dataset(data, scorer, head, cache)
    agreements = compare_cues(scored, data, resamples=20, seed=0)
    return Report(data, scorer, head.constants, scored, agreements, 20, 0)


def run_main(bundle: Path, root: Path, output: Path, cache: Path, **options: Any) -> dict[str, Any]:
    """Run the command in this process on a CSV miniature; returns its JSON."""
    settings: dict[str, Any] = {"resamples": 0, "threads": 1} | options
    datasets.main(DatasetName["csv"], root, str(bundle), output, cache=cache, **settings)
    return json.loads((output / "report.json").read_text())


@pytest.mark.parametrize("name", list(READERS))
def test_every_miniature_makes_a_report(
    name: str, miniature: Miniature, scorer_of: ScorerOf, feature_folder: Path, tmp_path: Path
) -> None:
    report = make_report(name, miniature(name), scorer_of, feature_folder)
    report.write(tmp_path / "results")
    assert {path.name for path in (tmp_path / "results").iterdir()} == RESULTS
    text = (tmp_path / "results" / "report.md").read_text()
    record = json.loads((tmp_path / "results" / "report.json").read_text())
    assert report.dataset.scale.describe() in text
    assert record["preset"] == READERS[name].preset
    assert record["pictures"] == len(report.dataset.pictures)
    assert record["agreement"].keys() == set(CUES)
    assert ("published: MA-CLIP" in text) is (record["published_srcc"] is not None)
    assert ("sign turned" in text) is not report.dataset.scale.higher_is_better
    assert "enlarged" in text or record["enlarged"] == 0
    with Image.open(tmp_path / "results" / "scatter.png") as image:
        image.load()


def test_scores_are_the_scorers(
    miniature: Miniature, scorer_of: ScorerOf, feature_folder: Path, tmp_path: Path
) -> None:
    report = make_report("kadid10k", miniature("kadid10k"), scorer_of, feature_folder)
    report.write(tmp_path)
    with (tmp_path / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    expected = [scorer_of("native").score(row["path"]) for row in rows]
    for name in CUES:
        values = [float(row[name]) for row in rows]
        np.testing.assert_allclose(values, [getattr(e, name) for e in expected], rtol=1e-6)
    opinions = [float(row["opinion"]) for row in rows]
    srcc = stats.spearmanr([e.score for e in expected], opinions).statistic
    assert report.agreements["score"].srcc.value == pytest.approx(srcc)


def test_broken_and_missing_pictures_are_counted_not_fatal(
    miniature: Miniature, rn_small_bundle: Path, feature_folder: Path, tmp_path: Path
) -> None:
    root = miniature("csv")
    (root / "mine" / "1.png").write_bytes(b"not a picture")
    (root / "mine" / "4.png").unlink()
    record = run_main(rn_small_bundle, root, tmp_path / "out", feature_folder)
    assert record["pictures"] == 4
    failed = {Path(failure["path"]).name: failure["error"] for failure in record["failures"]}
    assert failed.keys() == {"1.png", "4.png"}
    assert failed["4.png"] == "no such file"
    assert "2 pictures could not be scored" in (tmp_path / "out" / "report.md").read_text()


def test_too_few_pictures_is_one_clear_line(
    miniature: Miniature, rn_small_bundle: Path, feature_folder: Path, tmp_path: Path
) -> None:
    root = miniature("csv")
    shutil.rmtree(root / "mine")
    with pytest.raises(DatasetError, match="only 0 of 6 pictures .*no such file"):
        run_main(rn_small_bundle, root, tmp_path, feature_folder)


def test_constants_and_prompts_change_scores_without_encoding(
    miniature: Miniature, rn_small_bundle: Path, tmp_path: Path
) -> None:
    root, cache = miniature("csv"), tmp_path / "cache"
    first = run_main(rn_small_bundle, root, tmp_path / "a", cache)
    assert (first["encoded"], first["cached"]) == (6, 0)
    other = run_main(
        rn_small_bundle, root, tmp_path / "b", cache, boxcox_lambda=1.5, alpha=2.0,
        similarity_base=0.0, magnitude_base=1.0,
    )  # fmt: skip
    assert (other["encoded"], other["cached"]) == (0, 6)
    assert other["constants"]["boxcox_lambda"] == 1.5
    bundle = copy_with_other_prompts(rn_small_bundle, tmp_path / "other.maclip")
    prompted = run_main(bundle, root, tmp_path / "c", cache)
    assert (prompted["encoded"], prompted["cached"]) == (0, 6)
    columns = [read_column(tmp_path / run / "scores.csv") for run in "abc"]
    assert columns[0]["magnitude"] != columns[1]["magnitude"]
    assert columns[0]["similarity"] == columns[1]["similarity"]
    assert columns[0]["magnitude"] == columns[2]["magnitude"]
    assert columns[0]["similarity"] != columns[2]["similarity"]


def copy_with_other_prompts(source: Path, destination: Path) -> Path:
    shutil.copytree(source, destination)
    bundle = open_bundle(destination)
    embeddings = bundle.load_prompts()[:, ::-1]  # good and bad exchanged
    manifest, kept = bundle.manifest, bundle.find("prompts")
    others = tuple(file for file in manifest.files if file != kept)
    files = (*others, write_prompts(destination, embeddings))
    write_manifest(destination, replace(manifest, files=files))
    return destination


def read_column(path: Path) -> dict[str, list[str]]:
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_the_script_prints_the_table_and_errors_on_one_line(
    miniature: Miniature, rn_small_bundle: Path, feature_folder: Path, tmp_path: Path
) -> None:
    script = [sys.executable, "-m", "benchmarks.accuracy.datasets"]
    script += ["--bundle", str(rn_small_bundle)]
    script += ["--cache", str(feature_folder), "--output", str(tmp_path), "--resamples", "10"]
    root = str(miniature("csiq"))
    run = partial(subprocess.run, cwd=ROOT, capture_output=True, text=True)
    done = run([*script, "--dataset", "csiq", "--root", root], check=True)
    assert done.stdout == (tmp_path / "report.md").read_text()
    assert "| published: MA-CLIP, RN50 | 0.737 |" in done.stdout
    assert "lower is better" in done.stdout
    assert "encoding" in done.stderr
    failed = run([*script, "--dataset", "spaq", "--root", root], check=False)
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert failed.stderr.startswith("error: ")
    assert len(failed.stderr.splitlines()) == 1
