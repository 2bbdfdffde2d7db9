"""How many pictures a second does `maclip archive` score, against `maclip score` on the same cores?

    python -m benchmarks.speed.archives PICTURES --bundle demo --copies 4 --rounds 5
    python -m benchmarks.speed.archives --missing 20000

Each round runs both commands on the same pictures, one after the other, the first of them in turn; ratios
are taken within a round. The archive's seconds are told apart: until its workers are introduced (Ray
starts, once a run, whatever the number of pictures), and from then to its end, its shard's file written.
CPU seconds are of all processes that a command starts, by their environment, sampled while they run: they
tell more than wall time does on a machine that others use, too. With --missing it is a list of pictures
that are not there: what is left is what Ray, the plan and the writing cost.
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
_ROLES = (
    (b"_Worker", "workers"),
    (b"spawn_main", "Ray's driver"),
    (b"maclip_runtime", "maclip archive itself"),
)
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class CpuMeter:
    """CPU seconds of all processes whose environment has a mark, those that have ended among them."""

    mark: str
    seconds: dict[int, float] = field(default_factory=dict)
    roles: dict[int, str] = field(default_factory=dict)

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
                title = (process / "cmdline").read_bytes()
            except OSError:  # it has just ended, or is another user's
                continue
            self.seconds[pid] = (int(fields[11]) + int(fields[12])) / _TICKS
            if title:  # it has none when it is about to end
                self.roles[pid] = next(
                    (role for part, role in _ROLES if part in title), "Ray's own"
                )

    def sum_by_role(self) -> dict[str, float]:
        """CPU seconds by what processes are for."""
        sums = dict.fromkeys((role for _, role in _ROLES), 0.0) | {"Ray's own": 0.0}
        for pid, seconds in self.seconds.items():
            sums[self.roles.get(pid, "Ray's own")] += seconds
        return sums


@dataclass(frozen=True)
class Run:
    """A command's seconds: until it has said its first line, from then on, and of CPUs."""

    start: float
    rest: float
    cpu: float
    roles: dict[str, float]


def run_command(arguments: Sequence[object], statuses: Sequence[int] = (0,)) -> Run:
    """Run `maclip` with these arguments; it must end with one of these statuses."""
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
    if process.returncode not in statuses:
        raise SystemExit(f"{arguments[0]}: {said[-1] if said else process.returncode}")
    first = first or begun
    cpu = sum(meter.seconds.values())
    return Run(first - begun, end - first, cpu, meter.sum_by_role())


def main(
    pictures: Annotated[Path | None, typer.Argument(help="A folder of photographs.")] = None,
    bundle: Annotated[str, typer.Option(help="The bundle directory, or `demo`.")] = "demo",
    missing: Annotated[
        int | None, typer.Option(min=1, help="So many pictures that are not there.")
    ] = None,
    copies: Annotated[int, typer.Option(min=1, help="How often each picture is scored.")] = 1,
    most: Annotated[int, typer.Option(min=1, help="Of the pictures, so many at most.")] = 10_000,
    precision: Annotated[str, typer.Option(help="Of the graph.")] = "fp32",
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each.")] = 5,
) -> None:
    """Score the same pictures by both commands, in rounds."""
    if missing is not None or pictures is None:
        _measure_overhead(missing or 20_000, rounds)
        return
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
    print(_format_roles(archive, number))
    print(f"archive over score: {_spread(ratios)} by wall time, {_spread(cpu_ratios)} by CPU time")


def _measure_overhead(number: int, rounds: int) -> None:
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "list.txt")
        listed.write_text("".join(f"/nowhere/photographs/{n:08}.jpg\n" for n in range(number)))
        for round_ in track(range(rounds), "rounds"):
            output = Path(folder, f"archive{round_}")
            arguments = ["archive", listed, "--output", output, "--bundle", "demo"]
            runs.append(run_command(arguments, (1,)))
    print(f"{describe_host()}\n{number} pictures that are not there, {rounds} rounds\n")
    print(f"pictures/s: {_spread([number / run.rest for run in runs])}")
    print(_format_roles(runs, number))


def _format_roles(runs: Sequence[Run], number: int) -> str:
    rows = [
        [role, _spread([1000 * run.roles[role] / number for run in runs])] for role in runs[0].roles
    ]
    return format_table(["process", "CPU ms a picture"], rows)


def _spread(values: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return f"{np.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


if __name__ == "__main__":
    run_script(main)
