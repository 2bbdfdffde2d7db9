"""Does a bundle rank sensibly? Scores along ladders of known distortions, on any good pictures.

    python -m benchmarks.accuracy.distortions --bundle demo
    python -m benchmarks.accuracy.distortions --bundle rn50.maclip --pictures FOLDER --output RESULTS

The table goes to stdout; ladders.md, ladders.json, ladders.csv and ladders.png to the output folder.
Needs no opinion scores; benchmarks.accuracy.datasets compares with those.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.accuracy import options as opt
from benchmarks.accuracy.feature_cache import DEFAULT_CACHE
from benchmarks.accuracy.head import load_head
from benchmarks.accuracy.ladder_report import write_report
from benchmarks.accuracy.ladders import load_frames, score_ladders
from benchmarks.console import run_script
from benchmarks.options import SAMPLES, BundleOption, EngineOption, ThreadsOption
from maclip_export.quality.distortions import KINDS
from maclip_export.quality.ladders import LadderSettings
from maclip_runtime import Scorer
from maclip_runtime.errors import UsageError

_QUICK_PICTURES, _QUICK_SIDE, _QUICK_SEVERITIES = 2, 288, 3


def parse_kinds(text: str | None) -> tuple[str, ...]:
    """Comma-separated kinds of distortion, in the order of KINDS; UsageError for an unknown one."""
    names = [name.strip() for name in text.split(",") if name.strip()] if text else []
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise UsageError(f"unknown distortion {unknown[0]!r}; use some of {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in names)


def main(
    bundle: BundleOption,
    pictures: Annotated[
        Path, typer.Option(help="Folder of good pictures.", metavar="DIR")
    ] = SAMPLES,
    output: opt.OutputOption = None,
    kinds: Annotated[
        str | None, typer.Option(help="Comma-separated kinds; by default all.")
    ] = None,
    seen: Annotated[
        str | None, typer.Option(help="Kinds the encoder was trained on, to be set apart.")
    ] = None,
    severities: Annotated[int, typer.Option(help="Severities a ladder.", min=2)] = 10,
    side: Annotated[
        int, typer.Option(help="Scale pictures down to this longest side.", min=32)
    ] = 512,
    seed: Annotated[int, typer.Option(help="Seed of noise patterns and directions.")] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Two small pictures, three severities: seconds.")
    ] = False,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
    cache: opt.CacheOption = DEFAULT_CACHE,
) -> None:
    """Measure how scores follow growing distortions."""
    count = None
    if quick:
        count, side, severities = _QUICK_PICTURES, _QUICK_SIDE, _QUICK_SEVERITIES
    chosen = parse_kinds(kinds) or tuple(KINDS)
    trained = parse_kinds(seen)
    frames, failures = load_frames(pictures, side=side, count=count)
    scorer = Scorer(bundle, engine=engine, threads=threads)
    head = load_head(scorer.bundle)
    steps = tuple((step + 1) / severities for step in range(severities))
    settings = LadderSettings(chosen, steps, seed)
    scores = score_ladders(frames, settings, scorer, head, cache, failures)
    folder = opt.choose_folder(output, "ladders", scorer.bundle.path.stem)
    print(write_report(folder, scores, scorer, head.constants, trained), end="")


if __name__ == "__main__":
    run_script(main)
