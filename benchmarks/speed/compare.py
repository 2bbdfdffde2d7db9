"""How much faster is a bundle on the CPU than the published method in eager PyTorch?

    python -m benchmarks.speed.compare --bundle rn50.maclip --checkpoint RN50.pt --pictures photographs/

Every precision and view mode of the bundle, and eager PyTorch, score the same pictures: each in a process
of its own, one process after the other, round after round, so that a slow minute of the machine hits all
of them alike. Ratios are taken within a round. The table goes to stdout; compare.md, compare.json and
compare.png go to the output folder. Let nothing else run meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.console import run_script, track
from benchmarks.options import BundleOption, ThreadsOption
from benchmarks.report import Content, prepare_folder, write_files
from benchmarks.speed.apart import run_apart
from benchmarks.speed.baseline import check_checkpoint
from benchmarks.speed.compare_report import Comparison, draw_bars, summarise
from benchmarks.speed.contenders import (
    Contender,
    Run,
    Task,
    count_views,
    list_contenders,
    load_frame,
    run_contender,
)
from benchmarks.speed.heading import describe_run
from benchmarks.speed.machine import describe_host
from maclip_runtime.bundle.bundle import open_bundle
from maclip_runtime.errors import EngineError, UsageError
from maclip_runtime.sources.paths import list_pictures


def find_pictures(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The pictures of directories, and files as they are; UsageError if there are none."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"--pictures {path}: no such file or directory")
        found += list_pictures(path, recursive=False) if path.is_dir() else [path]
    if not found:
        raise UsageError(f"--pictures {', '.join(map(str, paths))}: no pictures there")
    return tuple(found)


def measure_apart(contender: Contender, task: Task) -> Run:
    """`run_contender` in a new process."""
    try:
        return run_apart(run_contender, contender, task)
    except EngineError as error:
        return Run(fault=str(error))


def run_rounds(
    contenders: Sequence[Contender], task: Task, rounds: int
) -> dict[Contender, list[Run]]:
    """Every contender once a round, forwards and backwards in turn, with progress on stderr."""
    turns = [
        contender
        for number in range(rounds)
        for contender in (contenders if number % 2 == 0 else reversed(contenders))
    ]
    runs: dict[Contender, list[Run]] = {contender: [] for contender in contenders}
    for contender in track(turns, "measuring"):
        runs[contender].append(measure_apart(contender, task))
    return runs


def main(
    bundle: BundleOption,
    checkpoint: Annotated[
        Path, typer.Option(help="What it was made from, in OpenAI's layout.", metavar="FILE")
    ],
    pictures: Annotated[
        list[Path],
        typer.Option(help="Pictures, or directories of them; may be repeated.", metavar="DIR"),
    ],
    rounds: Annotated[int, typer.Option(help="How often everything is measured.", min=1)] = 5,
    threads: ThreadsOption = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile/--no-compile",
            help="With torch.compile, which needs a C++ compiler, and time.",
        ),
    ] = True,
    megapixels: Annotated[
        float, typer.Option(help="Scale larger pictures down to this size.", min=0.05)
    ] = 1.0,
    output: Annotated[
        Path, typer.Option(help="The folder for table, figures and plot.", metavar="DIR")
    ] = Path("compare"),
) -> None:
    """Compare a bundle on the CPU with the published method in eager PyTorch."""
    opened = open_bundle(bundle)
    check_checkpoint(checkpoint, opened)
    found = find_pictures(pictures)
    frames = [load_frame(path, megapixels) for path in found]  # a bad picture is an error now
    views = count_views(opened, frames)
    prepare_folder(output)
    task = Task(opened.path, checkpoint, found, megapixels, threads or os.cpu_count() or 1)
    runs = run_rounds(list_contenders(opened, compiled=compiled), task, rounds)
    comparison = Comparison(
        rows=summarise(runs, views),
        faults={contender.name: fault for contender, fault in _find_faults(runs)},
        settings=describe_run(
            opened,
            sizes=[[frame.shape[1], frame.shape[0]] for frame in frames],
            pictures=[path.name for path in found],
            views=views,
            rounds=rounds,
            threads=task.threads,
        ),
        machine=describe_host(),
    )
    markdown = comparison.to_markdown()
    files: dict[str, Content] = {
        "compare.md": markdown,
        "compare.json": comparison.to_record(),
        "compare.png": draw_bars(comparison),
    }
    write_files(output, files)
    print(markdown, end="")
    if not comparison.rows:
        raise UsageError("nothing could be measured; the reasons are in the report")


def _find_faults(runs: dict[Contender, list[Run]]) -> list[tuple[Contender, str]]:
    """The first fault of every contender that has one."""
    faults = []
    for contender, done in runs.items():
        fault = next((run.fault for run in done if run.fault), None)
        if fault is not None:
            faults.append((contender, fault))
    return faults


if __name__ == "__main__":
    run_script(main)
