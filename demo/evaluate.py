"""Recompute the demo encoder's figures and plots on held-out pictures: `python demo/evaluate.py`.

Every held-out picture, at a longer side of 768 pixels, is distorted by every kind at nine severities
and scored by the runtime with the demo bundle. For each picture and kind the Spearman rank
correlation of score against severity (sign turned, so that 1 is a perfect ladder) is taken, for the
fused score and for each cue. Writes figures.json and a plot per kind.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from ladders import TRAINED_KINDS
from maclip_export.quality.distortions import KINDS
from maclip_export.quality.frames import limit_side
from maclip_export.quality.ladders import Values, correlate_severity, make_ladder
from maclip_runtime.method.pixels import Frame
from pictures import CACHE, load_pictures, share_textured

matplotlib.use("Agg")
from matplotlib import pyplot as plt

Measure = Callable[[Frame], tuple[float, float, float]]

CUES = ("score", "similarity", "magnitude")
SEVERITIES = np.linspace(0, 1, 9)
LONGEST_SIDE = 768
TEXTURED_SHARE = 0.5
OUTPUT = Path(__file__).parent.parent / "docs" / "demo-encoder"


def open_runtime(bundle: str) -> Measure:
    """Cues of a frame as users get them, from the runtime and a bundle."""
    from maclip_runtime import Scorer

    scorer = Scorer(bundle)

    def measure(frame: Frame) -> tuple[float, float, float]:
        result = scorer.score(frame)
        return result.score, result.similarity, result.magnitude

    return measure


def open_checkpoint(path: Path) -> Measure:
    """Cues of a frame from a checkpoint in torch, for trials before there is a bundle."""
    import torch

    from maclip_export.checkpoints import load_file
    from maclip_export.prompts import PUBLISHED_PROMPTS
    from maclip_export.published import PublishedMethod

    torch.set_num_threads(2)
    method = PublishedMethod(load_file(path).model, PUBLISHED_PROMPTS)

    def measure(frame: Frame) -> tuple[float, float, float]:
        result = method.score(np.array(frame))  # Pillow's is read-only, which torch warns about
        return result.score, result.similarity, result.magnitude

    return measure


def choose_pictures(cache: Path) -> tuple[dict[str, Frame], list[str]]:
    """Held-out pictures at working size, and the names of those the rule for flat ones leaves out."""
    resized = {n: limit_side(f, LONGEST_SIDE) for n, f in load_pictures("held-out", cache).items()}
    kept = {n: f for n, f in resized.items() if share_textured(f) >= TEXTURED_SHARE}
    return kept, sorted(set(resized) - set(kept))


def score_ladders(
    measure: Measure, pictures: dict[str, Frame], kinds: list[str]
) -> dict[str, Values]:
    """Score every ladder: kind to float [pictures, severities, 3], the last axis as in CUES."""
    pristine = {name: measure(frame) for name, frame in pictures.items()}
    ladders = {}
    for kind in kinds:
        rows = []
        for seed, (name, frame) in enumerate(pictures.items()):
            worse = [measure(version) for version in make_ladder(frame, kind, SEVERITIES[1:], seed)]
            rows.append([pristine[name], *worse])
        ladders[kind] = np.array(rows, np.float64)
        print(f"{kind}: {len(rows)} ladders scored", flush=True)
    return ladders


def correlate_ladder(values: Values) -> float:
    """Spearman correlation of falling values with severity, in [-1, 1]; a flat ladder has 0."""
    srcc = correlate_severity(SEVERITIES, values)
    return 0.0 if np.isnan(srcc) else srcc


def summarise_kind(values: Values) -> dict[str, Any]:
    """Figures of one kind. values: [pictures, severities, 3]."""
    summary: dict[str, Any] = {}
    for index, cue in enumerate(CUES):
        srcc = [correlate_ladder(ladder) for ladder in values[..., index]]
        summary[cue] = {
            "median": round(float(np.median(srcc)), 4),
            "lower_quartile": round(float(np.quantile(srcc, 0.25)), 4),
            "lowest": round(min(srcc), 4),
            "each": [round(v, 4) for v in srcc],
        }
    above = values[:, 0, 0] > values[:, -1, 0]
    summary["pristine_above_worst"] = [int(above.sum()), len(above)]
    summary["median_score"] = [round(v, 4) for v in np.median(values[..., 0], axis=0).tolist()]
    return summary


def plot_kind(kind: str, values: Values, path: Path) -> None:
    """Plot score against severity: each picture, their median, and the medians of the two cues."""
    figure, axes = plt.subplots(figsize=(5.2, 3.4), dpi=100, layout="constrained")
    for ladder in values[..., 0]:
        axes.plot(SEVERITIES, ladder, color="0.82", linewidth=0.8)
    styles = {
        "score": ("#1b6ca8", "-"),
        "similarity": ("#c8553d", "--"),
        "magnitude": ("#4a8c5f", ":"),
    }
    for index, cue in enumerate(CUES):
        colour, style = styles[cue]
        middle = np.median(values[..., index], axis=0)
        axes.plot(SEVERITIES, middle, style, color=colour, linewidth=2, label=f"{cue}, median")
    note = "trained" if kind in TRAINED_KINDS else "never trained on"
    axes.set(
        title=f"{kind.replace('_', ' ')} ({note})",
        xlabel="severity",
        ylabel="demo score",
        xlim=(0, 1),
        ylim=(0, 1.1),
    )
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Software": None})  # no version: same data, same bytes
    plt.close(figure)


def print_table(kinds: dict[str, dict[str, Any]]) -> None:
    """Print one line per kind, in Markdown as the card has it."""
    print("\n| distortion | trained | score | lower quartile | similarity | magnitude | > worst |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for kind, row in kinds.items():
        trained = "yes" if kind in TRAINED_KINDS else "no"
        medians = [f"{row[cue]['median']:.3f}" for cue in CUES]
        quartile = f"{row['score']['lower_quartile']:.3f}"
        above = "{} of {}".format(*row["pristine_above_worst"])
        cells = [kind, trained, medians[0], quartile, *medians[1:], above]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Parse the command line, score all ladders, and write the figures and plots."""
    parser = argparse.ArgumentParser(description="Recompute the demo encoder's figures and plots.")
    parser.add_argument("--bundle", default="demo", help="bundle that the runtime scores with")
    parser.add_argument("--checkpoint", type=Path, help="score with torch instead of the runtime")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for the pictures")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    measure = (
        open_checkpoint(options.checkpoint) if options.checkpoint else open_runtime(options.bundle)
    )
    pictures, flat = choose_pictures(options.cache)
    ladders = score_ladders(measure, pictures, list(KINDS))
    kinds = {kind: summarise_kind(values) for kind, values in ladders.items()}
    above = np.array([row["pristine_above_worst"] for row in kinds.values()]).sum(axis=0)
    figures = {
        "longest_side": LONGEST_SIDE,
        "severities": SEVERITIES.tolist(),
        "pictures": list(pictures),
        "left_out_as_flat": flat,
        "trained": list(TRAINED_KINDS),
        "pristine_above_worst": above.tolist(),
        "kinds": kinds,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    for kind, values in ladders.items():
        plot_kind(kind, values, options.output / f"{kind}.png")
    print_table(kinds)
    print(f"\npristine above worst: {above[0]} of {above[1]} ({above[0] / above[1]:.1%})")
    print(f"{len(pictures)} pictures; left out as flat: {', '.join(flat) or 'none'}")


if __name__ == "__main__":
    main()
