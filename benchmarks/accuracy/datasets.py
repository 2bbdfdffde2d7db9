"""Scores against people: correlations of a bundle's scores with a dataset's opinion scores.

    python -m benchmarks.accuracy.datasets --dataset koniq10k --root KONIQ_FOLDER --bundle rn50.maclip

The dataset is read as its owners distribute it. The table goes to stdout; report.md, report.json,
scores.csv and scatter.png go to the output folder. A run that was stopped goes on where it was.
"""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.accuracy import options as opt
from benchmarks.accuracy.dataset_report import Report
from benchmarks.accuracy.evaluation import compare_cues, score_dataset
from benchmarks.accuracy.feature_cache import DEFAULT_CACHE
from benchmarks.accuracy.head import load_head, replace_constants
from benchmarks.accuracy.readers import ReadOptions
from benchmarks.console import run_script
from benchmarks.options import BundleOption, EngineOption, ThreadsOption

Constant = Annotated[float | None, typer.Option(help="Instead of the bundle's.")]


def main(
    dataset: opt.DatasetOption,
    root: opt.RootOption,
    bundle: BundleOption,
    output: opt.OutputOption = None,
    split: opt.SplitOption = None,
    labels: opt.LabelsOption = None,
    lower_is_better: opt.LowerOption = False,
    preset: opt.PresetOption = None,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
    cache: opt.CacheOption = DEFAULT_CACHE,
    boxcox_lambda: Annotated[
        float | None, typer.Option("--lambda", help="Instead of the bundle's.")
    ] = None,
    alpha: Constant = None,
    similarity_base: Constant = None,
    magnitude_base: Constant = None,
    resamples: Annotated[
        int, typer.Option(help="Bootstrap resamples; 0 for no intervals.", min=0)
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
) -> None:
    """Correlate a bundle's scores with a dataset's opinion scores."""
    reading = ReadOptions(split, labels, lower_is_better)
    data, scorer = opt.open_dataset(dataset, root, reading, bundle, preset, engine, threads)
    constants = replace_constants(
        scorer.bundle.manifest.method.head,
        boxcox_lambda=boxcox_lambda,
        alpha=alpha,
        similarity_base=similarity_base,
        magnitude_base=magnitude_base,
    )
    scored = score_dataset(data, scorer, load_head(scorer.bundle, constants), cache)
    agreements = compare_cues(scored, data, resamples=resamples, seed=seed)
    report = Report(data, scorer, constants, scored, agreements, resamples, seed)
    parts = (data.name, split) if split else (data.name,)
    report.write(opt.choose_folder(output, *parts, scorer.bundle.path.stem))
    print(report.to_markdown(), end="")


if __name__ == "__main__":
    run_script(main)
