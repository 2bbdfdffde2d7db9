"""The distortion ladders: their statistics on made-up scores, and the script on small pictures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.accuracy import distortions
from benchmarks.accuracy.head import CUES, load_head
from benchmarks.accuracy.ladders import LadderScores, load_frames, rank_all, score_ladders
from conftest import ScorerOf
from maclip_export.quality.distortions import KINDS
from maclip_export.quality.ladders import LadderSettings
from maclip_runtime.errors import UsageError


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two pictures with content, one of them in a folder below, and a file that is none."""
    folder = tmp_path / "photographs"
    (folder / "below").mkdir(parents=True)
    for number, (width, height) in enumerate([(300, 240), (600, 450)]):
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        waves = [120 + 80 * np.sin(x / (3 + c + number)) * np.cos(y / (5 + c)) for c in range(3)]
        image = Image.fromarray(np.stack(waves, axis=2).astype(np.uint8))
        image.save(folder / ("a.png" if number == 0 else "below/b.jpg"))
    (folder / "b.png").write_bytes(b"")
    return folder


def make_scores(scores: np.ndarray) -> LadderScores:
    """Ladders of one kind whose cues all have the given scores `[P, L]`."""
    values = np.repeat(scores[:, None, :, None], len(CUES), axis=3)
    severities = tuple(np.arange(1, scores.shape[1]) / (scores.shape[1] - 1))
    settings = LadderSettings(("jpeg",), severities, seed=0)
    return LadderScores((), settings, values, (), encoded=0, cached=0)


def test_falling_scores_are_perfect_and_rising_ones_the_opposite() -> None:
    falling = np.linspace(1, 0, 6)[None, :].repeat(2, axis=0)
    best = rank_all(make_scores(falling))["jpeg"]["score"]
    assert (best.srcc, best.within, best.ordered) == pytest.approx((1, 1, 1))
    worst = rank_all(make_scores(-falling))["jpeg"]["score"]
    assert (worst.srcc, worst.within, worst.ordered) == pytest.approx((-1, -1, 0))


def test_differences_between_pictures_lower_one_figure_only() -> None:
    ladder = np.linspace(1, 0, 6)
    ranking = rank_all(make_scores(np.stack([ladder, ladder + 10])))["jpeg"]["magnitude"]
    assert ranking.within == pytest.approx(1)
    assert ranking.ordered == 1
    assert 0 < ranking.srcc < 0.6


def test_equal_neighbours_are_not_in_order() -> None:
    ranking = rank_all(make_scores(np.array([[3.0, 2, 2, 1]])))["jpeg"]["score"]
    assert ranking.ordered == pytest.approx(2 / 3)


def test_frames_are_found_below_limited_and_failures_kept(photographs: Path) -> None:
    frames, failures = load_frames(photographs, side=400)
    assert [path.name for path in frames] == ["a.png", "b.jpg"]
    assert [frame.shape for frame in frames.values()] == [(240, 300, 3), (300, 400, 3)]
    assert len(failures) == 1
    assert "b.png" in str(failures[0])
    with pytest.raises(UsageError, match="no such folder"):
        load_frames(photographs / "nowhere", side=400)
    (photographs.parent / "empty").mkdir()
    with pytest.raises(UsageError, match="no picture"):
        load_frames(photographs.parent / "empty", side=400)


def test_levels_are_scored_as_the_scorer_scores_them(
    photographs: Path, scorer_of: ScorerOf, tmp_path: Path
) -> None:
    from maclip_export.quality.distortions import distort

    scorer = scorer_of("native")
    frames, _ = load_frames(photographs, side=300, count=1)
    head = load_head(scorer.bundle)
    settings = LadderSettings(("jpeg", "gaussian_noise"), (0.5, 1.0), seed=3)
    scores = score_ladders(frames, settings, scorer, head, tmp_path)
    assert scores.values.shape == (1, 2, 3, len(CUES))
    frame = next(iter(frames.values()))
    for k, kind in enumerate(settings.kinds):
        for r, severity in enumerate(settings.levels):
            expected = scorer.score(distort(frame, kind, severity, 3))
            assert scores.values[0, k, r, 0] == pytest.approx(expected.score, rel=1e-6)
    assert scores.encoded == 5  # the pristine level is the same picture in both ladders
    again = score_ladders(frames, settings, scorer, head, tmp_path)
    assert (again.encoded, again.cached) == (0, 6)
    np.testing.assert_array_equal(again.values, scores.values)


def test_quick_script_writes_table_numbers_and_plot(
    photographs: Path,
    rn_small_bundle: Path,
    feature_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    distortions.main(
        str(rn_small_bundle), photographs, output, seen="jpeg, gaussian_blur", quick=True,
        cache=feature_folder, threads=1,
    )  # fmt: skip
    names = {"ladders.md", "ladders.json", "ladders.csv", "ladders.png"}
    assert {path.name for path in output.iterdir()} == names
    text = capsys.readouterr().out
    assert text == (output / "ladders.md").read_text()
    never, trained = text.split("## Kinds that it was trained on")
    assert "| jpeg |" in trained
    assert "| jpeg |" not in never
    assert "1 pictures could not be read" in trained
    record = json.loads((output / "ladders.json").read_text())
    assert record["kinds"].keys() == KINDS.keys()
    assert len(record["kinds"]) >= 10
    assert record["severities"] == pytest.approx([0, 1 / 3, 2 / 3, 1], rel=1e-5)
    with (output / "ladders.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 2 * len(KINDS) * 4
    with Image.open(output / "ladders.png") as image:
        image.load()


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown distortion 'fog'"):
        distortions.parse_kinds("jpeg,fog")
    assert distortions.parse_kinds(None) == ()
