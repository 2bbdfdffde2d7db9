"""What narrower graphs and dense views do to scores: their ranking against float32 and exact views.

Pictures go through every kind of distortion at several severities; each precision and view mode of a
bundle scores them all, and is compared with float32 on exact views. The bundle needs trained weights:
those of random ones rank nothing.

    python -m benchmarks.accuracy.fidelity --bundle DIR --pictures FOLDER
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.console import run_script, track
from benchmarks.options import BundleOption
from benchmarks.report import format_table
from maclip_export.quality.distortions import KINDS
from maclip_export.quality.ladders import correlate_severity, make_ladder
from maclip_export.quality.rankings import compare_rankings
from maclip_runtime import Scorer, open_bundle
from maclip_runtime.errors import UsageError
from maclip_runtime.sources.paths import list_pictures
from maclip_runtime.sources.pictures import read_frame
from maclip_runtime.vocabulary import Precision, ViewMode

SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)

_HEADER = (
    "precision", "views", "SRCC with float32, exact", "mean difference", "largest", "severities ranked",
)  # fmt: skip

Scores = dict[tuple[Precision, ViewMode], list[float]]


def score_ladders(bundle: str, paths: list[Path]) -> Scores:
    """Scores of every precision and view mode; five severities of each kind of each picture, in order."""
    opened = open_bundle(bundle)
    encoders = [file for file in opened.manifest.files if file.role == "image_encoder"]
    is_resnet = isinstance(encoders[0].inputs["pixels"].shape[-1], str)
    modes: tuple[ViewMode, ...] = ("exact", "dense") if is_resnet else ("exact",)
    scorers = {
        (file.precision or "fp32", mode): Scorer(opened, precision=file.precision, views=mode)
        for file in encoders
        for mode in modes
    }
    scores: Scores = {key: [] for key in scorers}
    ladders = [(path, kind) for path in paths for kind in KINDS]
    for path, kind in track(ladders, "scoring"):
        frame = read_frame(path)
        for version in make_ladder(frame, kind, SEVERITIES, seed=1):
            for key, scorer in scorers.items():
                scores[key].append(scorer.score(version).score)
    return scores


def measure_ladders(scores: list[float]) -> float:
    """Mean SRCC of falling scores against severity, over the ladders."""
    ladders = np.reshape(scores, (-1, len(SEVERITIES)))
    return float(np.mean([correlate_severity(SEVERITIES, ladder) for ladder in ladders]))


def write_table(scores: Scores) -> str:
    """A Markdown table with a row per precision and view mode."""
    reference = scores["fp32", "exact"]
    rows = []
    for (precision, mode), values in scores.items():
        agreement = compare_rankings(values, reference)
        figures = (
            f"{agreement.srcc:.4f}",
            f"{agreement.mean_difference:+.4f}",
            f"{agreement.largest_difference:.4f}",
            f"{measure_ladders(values):.3f}",
        )
        rows.append((precision, mode, *figures))
    return format_table(_HEADER, rows)


def main(
    bundle: BundleOption,
    pictures: Annotated[Path, typer.Option(help="A directory of good pictures.")],
) -> None:
    """Print the table; severities ranked: mean SRCC of score against severity, 1 is perfect."""
    paths = list_pictures(pictures, recursive=True)
    if not paths:
        raise UsageError(f"{pictures}: no pictures in this directory")
    scores = score_ladders(bundle, paths)
    count = len(scores["fp32", "exact"])
    print(
        f"{len(paths)} pictures, {len(KINDS)} kinds, {count} frames\n\n{write_table(scores)}",
        end="",
    )


if __name__ == "__main__":
    run_script(main)
