"""How the head's constants move the correlation with people, as the paper's ablations ask.

    python benchmarks/sweep.py --dataset koniq10k --root KONIQ_FOLDER --bundle rn50.maclip

SRCC over lambda and alpha at the published bases, and over the two bases at the published lambda and
alpha, on cached features (pictures not yet there are encoded first). It reports and changes nothing:
no constant found here is written anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import options as opt
from console import run_script
from feature_cache import DEFAULT_CACHE
from maclip_runtime.errors import UsageError
from maclip_runtime.method.head import Head
from readers import ReadOptions
from sweep_report import write_report
from sweeping import PUBLISHED_SETTING, collect_views, sweep_bases, sweep_shape


def parse_grid(text: str, published: float) -> tuple[float, ...]:
    """Comma-separated numbers, sorted, the published one among them whether it was given or not."""
    try:
        given = {float(part) for part in text.split(",")}
    except ValueError:
        raise UsageError(f"{text!r}: not numbers separated by commas, such as 0,0.5,1") from None
    return tuple(sorted(given | {published}))


def main(
    dataset: opt.DatasetOption,
    root: opt.RootOption,
    bundle: opt.BundleOption,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the report; else accuracy/sweep-DATASET-BUNDLE.", metavar="DIR"
        ),
    ] = None,
    split: opt.SplitOption = None,
    labels: opt.LabelsOption = None,
    lower_is_better: opt.LowerOption = False,
    preset: opt.PresetOption = None,
    engine: opt.EngineOption = "auto",
    threads: opt.ThreadsOption = None,
    cache: opt.CacheOption = DEFAULT_CACHE,
    lambdas: Annotated[str, typer.Option(help="Grid of lambda.")] = "0,0.1,0.25,0.5,0.75,1,1.5,2",
    alphas: Annotated[str, typer.Option(help="Grid of alpha.")] = "0,0.25,0.5,1,1.5,2,3,5",
    similarity_bases: Annotated[
        str, typer.Option(help="Grid of the similarity cue's base.")
    ] = "0,0.2,0.4,0.6,0.8,1,1.2,1.4",
    magnitude_bases: Annotated[
        str, typer.Option(help="Grid of the magnitude cue's base.")
    ] = "0,0.2,0.4,0.6,0.8,1,1.2,1.4",
) -> None:
    """SRCC over grids of lambda, alpha and the bases; reports only."""
    standard: Head = PUBLISHED_SETTING
    shape = (parse_grid(lambdas, standard.boxcox_lambda), parse_grid(alphas, standard.alpha))
    bases = (
        parse_grid(similarity_bases, standard.similarity_base),
        parse_grid(magnitude_bases, standard.magnitude_base),
    )
    name = str(dataset.value)
    reading = ReadOptions(split, labels, lower_is_better)
    data, scorer = opt.open_dataset(name, root, reading, bundle, preset, engine, threads)
    views = collect_views(data, scorer, shape[0], cache)
    grids = (sweep_shape(views, *shape), sweep_bases(views, *bases))
    folder = output or Path("accuracy") / f"sweep-{name}-{scorer.bundle.path.stem}"
    print(write_report(folder, data, scorer, views, grids), end="")


if __name__ == "__main__":
    run_script(main)
