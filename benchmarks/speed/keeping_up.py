"""Do streams keep up? Latency of a live camera with `auto`, fairness among files, and an hour's soak.

    python -m benchmarks.speed.keeping_up live --pictures DIR [--bundle DIR] [--precision int8]
    python -m benchmarks.speed.keeping_up fair --pictures DIR
    python -m benchmarks.speed.keeping_up soak

live: a camera of 1080p at 30 frames a second, made of photographs as in `streams`, keeps the time of the
clock; what waits is measured from each frame's arrival to its reading. fair: eight 720p videos are watched
at once for a while, and their frames counted. soak: an hour of frames (108,000) of a camera that is lost
every 5,000 of them, as fast as they go; memory, threads and file handles are read after the first minute's
frames and at the end. Let nothing else run meanwhile; the machine's load is printed.
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.console import run_script
from benchmarks.options import BundleOption
from benchmarks.speed.camera import Camera
from benchmarks.speed.film import load_photographs
from benchmarks.speed.machine import describe_host
from benchmarks.speed.paced import PacedSource, UnsteadySource
from maclip_runtime import Scorer, Stream
from maclip_runtime.errors import UsageError
from maclip_runtime.method.pixels import Frame
from maclip_runtime.sources.reader import SourceReader
from maclip_runtime.sources.source import Ended, SourceFrame
from maclip_runtime.stream.status import Observation
from maclip_runtime.stream.watcher import Watcher
from maclip_runtime.vocabulary import Precision

SOAK_FRAMES = 108_000  # an hour at 30 frames a second
FIRST_MINUTE = 1_800
_CONNECTION = 5_000  # frames until the camera is lost
_SETTLED = 5.0  # seconds that `auto` has to find its number of views before anything counts


def film_frames(pictures: Path, height: int, count: int) -> list[Frame]:
    """The first shots of the simulated camera."""
    photographs = load_photographs(pictures, 1, height * 16 // 9, height)[0]
    scenes = [scene for _, scene in photographs]
    camera = Camera(scenes, height * 16 // 9, height, seed=0, noise=1.0)
    return [camera.take(number) for number in range(count)]


def measure_live(scorer: Scorer, frames: list[Frame], seconds: float) -> str:
    """Latency and the number of views that `auto` reached, once it has had time to find it."""
    source = PacedSource("camera", frames, 30.0, seconds)
    waits, counts, views = [], [], 0
    with (
        SourceReader("camera", lambda: source) as reader,
        Stream(scorer, views_per_frame="auto") as stream,
    ):
        while not isinstance(item := reader.take(), Ended) and item is not None:
            if isinstance(item, SourceFrame):
                reading = stream.push(item.pixels, item.time)
                views = reading.views
                if item.time >= _SETTLED:
                    waits.append(time.monotonic() - item.arrived)
                    counts.append(reading.refreshed)
        dropped = reader.dropped
    p50, p95, worst = np.percentile(waits, (50, 95, 100)) * 1e3
    lowest, middle, highest = np.percentile(counts, (0, 50, 100))
    return (
        f"waiting p50 {p50:.0f} ms, p95 {p95:.0f} ms, longest {worst:.0f} ms; N {middle:.0f} of {views} "
        f"({lowest:.0f} to {highest:.0f}); {len(waits)} frames scored after {_SETTLED:g} s, "
        f"{dropped} dropped in all"
    )


def write_videos(folder: Path, frames: list[Frame], count: int) -> list[str]:
    """The same frames as so many H.264 files."""
    import av

    height, width = frames[0].shape[:2]
    first = folder / "0.mp4"
    with av.open(str(first), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    paths = [str(first)]
    for number in range(1, count):
        paths.append(str(folder / f"{number}.mp4"))
        os.link(first, paths[-1])
    return paths


def measure_fairness(scorer: Scorer, paths: list[str], seconds: float) -> str:
    """How many frames of each of several files are scored while all are there."""
    counts: Counter[str] = Counter()
    with Watcher(scorer, paths, views_per_frame=8) as watcher:
        stop = time.monotonic() + seconds
        for seen in watcher:
            if isinstance(seen, Observation) and seen.reading is not None:
                counts[seen.source] += 1
            if time.monotonic() > stop or max(counts.values(), default=0) >= 100:
                break
    fewest, most = min(counts.values()), max(counts.values())
    return f"{len(counts)} of {len(paths)} files, {fewest} to {most} frames each, ratio {fewest / most:.3f}"


def read_usage() -> tuple[float, int, int]:
    """Memory in MB, threads and open files of this process, now."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1e3
    return memory, threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def measure_soak(scorer: Scorer, frames: list[Frame], count: int) -> str:
    """What an hour's frames with reconnects leave behind."""
    scored = losses = 0
    early = read_usage()
    start = time.monotonic()

    def connect() -> UnsteadySource:
        return UnsteadySource("camera", frames, _CONNECTION)

    reader = SourceReader("camera", connect, live=False, pause=lambda seconds: False)
    with reader, Stream(scorer, views_per_frame=1) as stream:
        while scored < count and (item := reader.take()) is not None:
            if isinstance(item, SourceFrame):
                stream.push(item.pixels, item.time)
                scored += 1
                if scored == FIRST_MINUTE:
                    early = read_usage()
            else:
                losses += 1
        late = read_usage()
    took, grown = time.monotonic() - start, late[0] - early[0]
    return (
        f"{scored} frames in {took:.0f} s, {losses // 2} times lost and back; memory {early[0]:.1f} MB "
        f"after a minute's frames, {late[0]:.1f} MB at the end ({grown:+.1f}); "
        f"threads {early[1]} and {late[1]}, open files {early[2]} and {late[2]}"
    )


def main(
    what: Annotated[str, typer.Argument(help="live, fair or soak.")],
    pictures: Annotated[
        Path | None, typer.Option(help="A folder of photographs, three at least.")
    ] = None,
    bundle: BundleOption = "demo",
    precision: Annotated[str | None, typer.Option(help="Of the encoder.")] = None,
    height: Annotated[int, typer.Option(help="Lines of live frames.")] = 1080,
    seconds: Annotated[float, typer.Option(help="How long live and fair go on.")] = 30.0,
    frames: Annotated[int, typer.Option(help="Of soak.")] = SOAK_FRAMES,
) -> None:
    """Measure one of the three and print it."""
    chosen: Precision | None = next((p for p in ("fp32", "fp16", "int8") if p == precision), None)
    with Scorer(bundle, precision=chosen) as scorer:
        print(
            f"{describe_host()}; load {os.getloadavg()[0]:.1f} before; bundle {scorer.bundle.name}"
        )
        if what == "soak":
            rng = np.random.default_rng(0)
            small = [rng.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(8)]
            print(measure_soak(scorer, small, frames))
            return
        if pictures is None or what not in ("live", "fair"):
            raise UsageError("say live, fair or soak", "live and fair need --pictures DIR")
        if what == "live":
            print(measure_live(scorer, film_frames(pictures, height, 60), seconds))
            return
        with tempfile.TemporaryDirectory() as folder:
            paths = write_videos(Path(folder), film_frames(pictures, 720, 150), 8)
            print(measure_fairness(scorer, paths, seconds))


if __name__ == "__main__":
    run_script(main)
