"""How the head's constants move the correlation with people, as the paper's ablations ask.

    python -m benchmarks.accuracy.sweep --dataset koniq10k --root KONIQ_FOLDER --bundle rn50.maclip

SRCC over lambda and alpha at the published bases, and over the two bases at the published lambda and
alpha, on cached features (pictures not yet there are encoded first). It reports and changes nothing:
no constant found here is written anywhere.
"""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.accuracy import options as opt
from benchmarks.accuracy.feature_cache import DEFAULT_CACHE
from benchmarks.accuracy.grids import PUBLISHED_SETTING, collect_views, sweep_bases, sweep_shape
from benchmarks.accuracy.head import list_constants
from benchmarks.accuracy.readers import ReadOptions
from benchmarks.accuracy.sweep_report import write_report
from benchmarks.console import run_script
from benchmarks.options import BundleOption, EngineOption, ThreadsOption
from maclip_runtime.errors import UsageError


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
    bundle: BundleOption,
    output: opt.OutputOption = None,
    split: opt.SplitOption = None,
    labels: opt.LabelsOption = None,
    lower_is_better: opt.LowerOption = False,
    preset: opt.PresetOption = None,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
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
    standard = list_constants(PUBLISHED_SETTING)
    shape = (parse_grid(lambdas, standard["boxcox_lambda"]), parse_grid(alphas, standard["alpha"]))
    bases = (
        parse_grid(similarity_bases, standard["similarity_base"]),
        parse_grid(magnitude_bases, standard["magnitude_base"]),
    )
    reading = ReadOptions(split, labels, lower_is_better)
    data, scorer = opt.open_dataset(dataset, root, reading, bundle, preset, engine, threads)
    views = collect_views(data, scorer, shape[0], cache)
    grids = (sweep_shape(views, *shape), sweep_bases(views, *bases))
    folder = opt.choose_folder(output, "sweep", data.name, scorer.bundle.path.stem)
    print(write_report(folder, data, scorer, views, grids), end="")


if __name__ == "__main__":
    run_script(main)
