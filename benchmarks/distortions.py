"""Does a bundle rank sensibly? Scores along ladders of known distortions, on any good pictures.

    python benchmarks/distortions.py --bundle demo
    python benchmarks/distortions.py --bundle rn50.maclip --pictures FOLDER --output RESULTS

The table goes to stdout; ladders.md, ladders.json, ladders.csv and ladders.png to the output folder.
Needs no opinion scores; benchmarks/datasets.py compares with those.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import options as opt
from console import run_script
from distortion_ladders import Plan, climb_ladders, load_frames
from feature_cache import DEFAULT_CACHE
from judging import Judge
from ladder_report import write_report
from maclip_export.quality.distortions import KINDS
from maclip_runtime import Scorer
from maclip_runtime.errors import UsageError

SAMPLES = Path(__file__).parent.parent / "samples"
_QUICK_PICTURES, _QUICK_SIDE, _QUICK_SEVERITIES = 2, 288, 3


def parse_kinds(text: str | None) -> tuple[str, ...]:
    """Comma-separated kinds of distortion, in the order of KINDS; UsageError for an unknown one."""
    names = [name.strip() for name in text.split(",") if name.strip()] if text else []
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise UsageError(f"unknown distortion {unknown[0]!r}; use some of {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in names)


def main(
    bundle: opt.BundleOption,
    pictures: Annotated[
        Path, typer.Option(help="Folder of good pictures.", metavar="DIR")
    ] = SAMPLES,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the report; else accuracy/ladders-BUNDLE.", metavar="DIR"),
    ] = None,
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
    engine: opt.EngineOption = "auto",
    threads: opt.ThreadsOption = None,
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
    method = scorer.bundle.manifest.method
    judge = Judge(scorer.bundle.load_prompts(), method.logit_scale, method.head)
    steps = tuple((step + 1) / severities for step in range(severities))
    climb = climb_ladders(frames, Plan(chosen, steps, seed), scorer, judge, cache, failures)
    folder = output or Path("accuracy") / f"ladders-{scorer.bundle.path.stem}"
    print(write_report(folder, climb, scorer, method.head, trained), end="")


if __name__ == "__main__":
    run_script(main)
