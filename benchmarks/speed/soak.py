"""A simulated stream of an hour and more, faster than real time: what memory, handles and threads do.

    make soak        # or: python -m benchmarks.speed.soak --frames 108000

A camera sends small frames and drops its connection again and again; `Watcher` scores them with the
real engine, events, lines and metrics included. After the first minute of the stream the process may gain
5 MB and no file handle or thread; otherwise the exit status is 1.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.console import run_script
from benchmarks.options import BundleOption, ThreadsOption
from benchmarks.report import format_table
from benchmarks.speed.machine import describe_host
from maclip_runtime import Scorer
from maclip_runtime.errors import SourceError
from maclip_runtime.results.metrics import Metrics
from maclip_runtime.results.watch_lines import write_lines
from maclip_runtime.sources import reader as source_reader
from maclip_runtime.sources.sampling import Sampling
from maclip_runtime.sources.source import Notice, SourceFrame
from maclip_runtime.stream.events import AlertRules
from maclip_runtime.stream.status import Observation
from maclip_runtime.stream.watcher import Watcher

FRAME_RATE = 30
ALLOWED_BYTES = 5 * 2**20
_SIDE = 224  # one window and the global view: the least that can be scored


@dataclass(frozen=True)
class Holdings:
    """What the process holds after so many frames of the stream."""

    frame: int
    memory: int  # bytes
    handles: int
    threads: int


class SimulatedCamera:
    """Frames of noise whose brightness wanders, as fast as they are taken; lost after `before_loss`.

    It is read like a file (nothing is dropped), but its end is a loss, as a camera's is.
    """

    name, live = "camera", True
    frame_rate: float | None = FRAME_RATE

    def __init__(self, frames: np.ndarray, before_loss: int, sampling: Sampling) -> None:
        self._frames = frames
        self._count = before_loss
        self._sampling = sampling
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[SourceFrame | Notice]:
        for index in range(self._count):
            if self._closed.is_set():
                return
            if self._sampling.wants(index, index / FRAME_RATE):
                pixels = self._frames[index % len(self._frames)].copy()
                yield SourceFrame(index, index / FRAME_RATE, pixels, time.monotonic())
        raise SourceError(self.name, "the connection ended", transient=True)

    def close(self) -> None:
        """End the iteration."""
        self._closed.set()


def measure_holdings(frame: int) -> Holdings:
    """What this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    handles = len(list(Path("/proc/self/fd").iterdir()))
    return Holdings(frame, pages * os.sysconf("SC_PAGE_SIZE"), handles, threading.active_count())


def soak(scorer: Scorer, frames: int, every: int, before_loss: int) -> list[Holdings]:
    """Watch so many frames, and measure at every minute of the stream."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (64, _SIDE, _SIDE, 3), np.uint8)
    minute = 60 * FRAME_RATE
    found: list[Holdings] = []
    names = [pair.name for pair in scorer.bundle.manifest.prompts]

    def connect(*_: object, sampling: Sampling, **__: object) -> SimulatedCamera:
        return SimulatedCamera(pictures, before_loss, sampling)

    watcher = Watcher(
        scorer,
        ["camera"],
        views_per_frame=1,
        alerts=AlertRules(below=0.5, after=1, drop=0.05),
        live=False,
        every=every,
        opener=connect,
    )
    with watcher, Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        metrics = Metrics(watcher.statuses)
        writers = [write_lines("jsonl", nowhere, names), write_lines("csv", nowhere, names)]
        for seen in watcher:
            if not isinstance(seen, Observation):
                continue
            metrics.note(seen)
            for write in writers:
                write(seen)
            if seen.frame is not None and seen.frame >= (len(found) + 1) * minute:
                found.append(measure_holdings(seen.frame))
            if seen.frame is not None and seen.frame >= frames - every:
                break
    return found


def main(
    bundle: BundleOption = "demo",
    threads: ThreadsOption = None,
    frames: Annotated[int, typer.Option(min=3 * 60 * FRAME_RATE, help="Of the stream.")] = 108_000,
    every: Annotated[int, typer.Option(min=1, help="Score each Nth frame.")] = 1,
    before_loss: Annotated[
        int, typer.Option(min=1, help="Frames until the camera is lost, each time.")
    ] = 1000,
) -> None:
    """Watch a simulated camera for long and report what the process gained."""
    # Each pause before a reconnect would last a second and more.
    source_reader.FIRST_PAUSE = 0.01
    start = time.perf_counter()
    with Scorer(bundle, threads=threads) as scorer:
        found = soak(scorer, frames, every, before_loss)
    seconds = time.perf_counter() - start
    first, last = found[0], found[-1]
    most = max(each.memory for each in found[1:])
    rows = [
        (
            str(each.frame),
            f"{each.memory / 2**20:.1f}",
            str(each.handles),
            str(each.threads),
        )
        for each in (found[0], *found[9::10], found[-1])
    ]
    print(describe_host())
    print(
        f"{frames} frames, each {every}th scored, {frames // before_loss} losses, in {seconds:.0f} s\n"
    )
    print(format_table(("frame", "memory, MB", "handles", "threads"), rows))
    gained = most - first.memory
    print(f"gained after the first minute: {gained / 2**20:.1f} MB at most")
    flat = (
        gained <= ALLOWED_BYTES and last.handles <= first.handles and last.threads <= first.threads
    )
    if not flat:
        raise typer.Exit(1)


if __name__ == "__main__":
    run_script(main)
