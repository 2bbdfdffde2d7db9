"""Scores against people: correlations of a bundle's scores with a dataset's opinion scores.

    python benchmarks/datasets.py --dataset koniq10k --root KONIQ_FOLDER --bundle rn50.maclip

The dataset is read as its owners distribute it. The table goes to stdout; report.md, report.json,
scores.csv and scatter.png go to the output folder. A run that was stopped goes on where it was.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import options as opt
from console import run_script
from dataset_report import Report
from evaluation import compare_cues, score_dataset
from feature_cache import DEFAULT_CACHE
from judging import Judge
from readers import ReadOptions

Constant = Annotated[float | None, typer.Option(help="Instead of the bundle's.")]


def main(
    dataset: opt.DatasetOption,
    root: opt.RootOption,
    bundle: opt.BundleOption,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the report; else accuracy/DATASET-BUNDLE.", metavar="DIR"),
    ] = None,
    split: opt.SplitOption = None,
    labels: opt.LabelsOption = None,
    lower_is_better: opt.LowerOption = False,
    preset: opt.PresetOption = None,
    engine: opt.EngineOption = "auto",
    threads: opt.ThreadsOption = None,
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
    name = str(dataset.value)
    reading = ReadOptions(split, labels, lower_is_better)
    data, scorer = opt.open_dataset(name, root, reading, bundle, preset, engine, threads)
    method = scorer.bundle.manifest.method
    given = {
        "boxcox_lambda": boxcox_lambda,
        "alpha": alpha,
        "similarity_base": similarity_base,
        "magnitude_base": magnitude_base,
    }
    constants = replace(method.head, **{k: v for k, v in given.items() if v is not None})
    judge = Judge(scorer.bundle.load_prompts(), method.logit_scale, constants)
    scored = score_dataset(data, scorer, judge, cache)
    agreements = compare_cues(scored, data, resamples=resamples, seed=seed)
    report = Report(data, scorer, constants, scored, agreements, resamples, seed)
    part = f"{name}-{split}" if split else name
    report.write(output or Path("accuracy") / f"{part}-{scorer.bundle.path.stem}")
    print(report.to_markdown(), end="")


if __name__ == "__main__":
    run_script(main)
