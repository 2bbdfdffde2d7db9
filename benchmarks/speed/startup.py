"""How long is it from `maclip score PICTURE` to the score on the terminal?

    python -m benchmarks.speed.startup --bundle demo --bundle rn50.maclip

Starts the command over and over, bundles in turn, and takes the whole time of the process: interpreter,
imports, checksum, session, picture, score. Warm: after one run that is not counted, so that files are in
the system's cache. With --cold, the bundle's files and the environment's libraries are dropped from that
cache before every run (as far as nothing else uses them), which is how a device starts after boot.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.console import run_script, track
from benchmarks.options import SAMPLES
from benchmarks.report import format_table
from maclip_runtime.bundle.bundle import open_bundle
from maclip_runtime.errors import UsageError

SAMPLE = SAMPLES / "coffee.jpg"


def find_command(given: Path | None) -> Path:
    """The `maclip` to start: the one given, or that of the environment this script runs in."""
    found = given or Path(sys.executable).with_name("maclip")
    if shutil.which(found) is None:
        raise UsageError(f"--maclip {found}: no such command; install maclip-edge there")
    return found


def list_files(bundle: str, maclip: Path) -> list[Path]:
    """The bundle's files, and the libraries of the environment that `maclip` belongs to."""
    libraries = maclip.absolute().parent.parent.glob("lib/python*/site-packages/**/*.so*")
    return [path for path in (*open_bundle(bundle).path.iterdir(), *libraries) if path.is_file()]


def drop_from_cache(files: Iterable[Path]) -> None:
    """Ask the system to forget the files' contents; it keeps what a process still has mapped."""
    for path in files:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


def time_start(command: Sequence[str]) -> float:
    """Seconds of one run of the command, which must succeed."""
    # Bytecode is kept, as it is where the package is installed and not worked on.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise UsageError(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    return seconds


def main(
    bundle: Annotated[list[str], typer.Option(help="A bundle; may be repeated.", metavar="DIR")],
    picture: Annotated[Path, typer.Option(help="What is scored.", metavar="FILE")] = SAMPLE,
    maclip: Annotated[
        Path | None, typer.Option(help="The command; by default this environment's.")
    ] = None,
    precision: Annotated[str, typer.Option(help="Of the graph.")] = "auto",
    repeats: Annotated[int, typer.Option(help="Counted runs of each.", min=1)] = 10,
    cold: Annotated[bool, typer.Option("--cold", help="Drop files from the cache first.")] = False,
) -> None:
    """Time `maclip score` of one picture, from start to end of the process."""
    program = find_command(maclip)
    commands = {
        name: [str(program), "score", str(picture), "--bundle", name, "--precision", precision]
        for name in bundle
    }
    files = {name: list_files(name, program) for name in bundle}
    times: dict[str, list[float]] = {name: [] for name in bundle}
    for name in track(bundle * (repeats + 1), "starting"):
        if cold:
            drop_from_cache(files[name])
        times[name].append(time_start(commands[name]))
    rows = []
    for name, every in times.items():
        counted = np.array(every[1:])
        figures = (np.median(counted), counted.min(), counted.max())
        rows.append((Path(name).name, *(f"{figure:.2f}" for figure in figures)))
    print(format_table(("bundle", "seconds, median", "smallest", "largest"), rows), end="")


if __name__ == "__main__":
    run_script(main)
