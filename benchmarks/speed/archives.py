"""How many pictures a second does `maclip archive` score, against `maclip score` on the same cores?

    python -m benchmarks.speed.archives PICTURES --bundle demo --copies 4 --rounds 5

Each round runs both commands on the same pictures, one after the other, the first of them in turn; ratios
are taken within a round. The archive's seconds are told apart: until its workers are introduced (Ray
starts, once a run, whatever the number of pictures), and from then to its end, its shard's file written.
CPU seconds are of all processes that a command starts, by their environment, sampled while they run: they
tell more than wall time does on a machine that others use, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.console import run_script, track
from benchmarks.report import format_table
from benchmarks.speed.machine import describe_host
from maclip_runtime.sources.paths import list_pictures

_MARK = "MACLIP_BENCHMARK"
_SAMPLING = 0.2  # seconds
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class CpuMeter:
    """CPU seconds of all processes whose environment has a mark, those that have ended among them."""

    mark: str
    seconds: dict[int, float] = field(default_factory=dict)

    def sample(self) -> None:
        """Look at every process that is there now."""
        wanted = f"{_MARK}={self.mark}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            pid = int(process.name)
            try:
                known = pid in self.seconds
                if not known and wanted not in (process / "environ").read_bytes().split(b"\0"):
                    continue
                fields = (process / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended, or is another user's
                continue
            self.seconds[pid] = (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass(frozen=True)
class Run:
    """A command's seconds: until it has said its first line, from then on, and of CPUs."""

    start: float
    rest: float
    cpu: float


def run_command(arguments: Sequence[object]) -> Run:
    """Run `maclip` with these arguments; it must succeed."""
    meter, ended = CpuMeter(str(uuid.uuid4())), threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLING):
            meter.sample()

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    first = None
    with subprocess.Popen(
        [sys.executable, "-m", "maclip_runtime", *map(str, arguments)],
        env={**os.environ, _MARK: meter.mark},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            first = first or time.perf_counter()
            said.append(line)
    end = time.perf_counter()
    ended.set()
    watcher.join()
    if process.returncode != 0:
        raise SystemExit(f"{arguments[0]}: {said[-1] if said else process.returncode}")
    first = first or begun
    return Run(first - begun, end - first, sum(meter.seconds.values()))


def main(
    pictures: Annotated[Path, typer.Argument(help="A folder of photographs.")],
    bundle: Annotated[str, typer.Option(help="The bundle directory, or `demo`.")],
    copies: Annotated[int, typer.Option(min=1, help="How often each picture is scored.")] = 1,
    most: Annotated[int, typer.Option(min=1, help="Of the pictures, so many at most.")] = 10_000,
    precision: Annotated[str, typer.Option(help="Of the graph.")] = "fp32",
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each.")] = 5,
) -> None:
    """Score the same pictures by both commands, in rounds."""
    found = list_pictures(pictures.absolute(), recursive=True)[:most]
    number = copies * len(found)
    common = ["--bundle", bundle, "--precision", precision]
    runs: dict[str, list[Run]] = {"score": [], "archive": []}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        source.mkdir()
        for copy in range(copies):
            for index, picture in enumerate(found):
                (source / f"{copy:04}-{index:05}{picture.suffix}").symlink_to(picture)
        for round_ in track(range(rounds), "rounds"):
            for command in ("score", "archive") if round_ % 2 == 0 else ("archive", "score"):
                output = Path(folder, f"{command}{round_}")
                extra = ["--format", "jsonl"] if command == "score" else []
                arguments = [command, source, "--output", output, *common, *extra]
                runs[command].append(run_command(arguments))
    score, archive = runs["score"], runs["archive"]
    print(f"{describe_host()}\n{number} pictures, {bundle}, {precision}, {rounds} rounds\n")
    print(f"Ray's start: {_spread([run.start for run in archive])} s")
    rates = {
        "maclip score": [number / (run.start + run.rest) for run in score],
        "maclip archive": [number / run.rest for run in archive],
    }
    cpu = {
        "maclip score": [1000 * run.cpu / number for run in score],
        "maclip archive": [1000 * run.cpu / number for run in archive],
    }
    rows = [[name, _spread(rates[name]), _spread(cpu[name])] for name in rates]
    print(format_table(["", "pictures/s", "CPU ms a picture"], rows))
    ratios = np.divide(rates["maclip archive"], rates["maclip score"])
    cpu_ratios = np.divide(cpu["maclip score"], cpu["maclip archive"])
    print(
        f"\narchive over score: {_spread(ratios)} by wall time, {_spread(cpu_ratios)} by CPU time"
    )


def _spread(values: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    run_script(main)
