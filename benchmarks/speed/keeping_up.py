"""Whether `maclip watch` keeps up: one live stream in real time, and many files at once.

    python -m benchmarks.speed.keeping_up --pictures DIR --size 1080p            # live, N found by auto
    python -m benchmarks.speed.keeping_up --pictures DIR --size 720p --files 8   # fairness

The simulated camera is filmed into real H.264 files first. Live, the file is played at its own 30 frames a
second, decoded and scored on the same cores. Of several files the question is how far apart they are when
the first one ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from benchmarks.console import run_script, track
from benchmarks.options import SAMPLES, BundleOption, ThreadsOption
from benchmarks.report import format_table
from benchmarks.speed.camera import Camera, Script
from benchmarks.speed.film import FRAME_SIZES, SUFFIXES
from benchmarks.speed.machine import describe_host
from maclip_runtime import Scorer
from maclip_runtime.errors import UsageError
from maclip_runtime.method.pixels import Frame
from maclip_runtime.stream.status import Observation
from maclip_runtime.stream.watcher import Watcher

FRAME_RATE = 30
_SETTLED = 0.5  # the part of the live stream after which N is looked at


def write_film(path: Path, camera: Camera) -> None:
    """Film the camera into an H.264 file."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = camera.width, camera.height, "yuv420p"
        stream.options = {"crf": "20", "preset": "ultrafast"}
        for index in track(list(range(camera.script.length)), "filming"):
            frame = av.VideoFrame.from_ndarray(camera.take(index), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def load_enlarged(folder: Path, width: int, height: int) -> list[Frame]:
    """Three photographs, as large as a frame at the least: how sharp they are does not change times."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:3]
    if len(paths) < 3:
        raise UsageError(f"{folder}: the camera films three photographs, here are {len(paths)}")
    frames = []
    for path in paths:
        with Image.open(path) as image:
            scale = max(1.0, width / image.width, height / image.height)
            size = (-int(-image.width * scale // 1), -int(-image.height * scale // 1))
            frames.append(np.asarray(image.convert("RGB").resize(size)))
    return frames


def watch_live(scorer: Scorer, film: Path) -> list[Observation]:
    """All readings of a film played at its own speed."""
    with Watcher(scorer, [str(film)], views_per_frame="auto", live=True) as watcher:
        return [
            seen for seen in watcher if isinstance(seen, Observation) and seen.reading is not None
        ]


def report_live(seen: Sequence[Observation], frames: int) -> str:
    """Latency, views a frame, and what was dropped."""
    latency = 1000 * np.array([each.latency for each in seen if each.latency is not None])
    settled = seen[int(_SETTLED * len(seen)) :]
    counts = [each.reading.refreshed for each in settled if each.reading is not None]
    views = seen[-1].reading.views if seen[-1].reading is not None else 0
    rows = [
        ("frames of the stream", str(frames)),
        ("scored", str(len(seen))),
        ("dropped", str(seen[-1].dropped)),
        ("arrival to score, median", f"{np.median(latency):.0f} ms"),
        ("arrival to score, p95", f"{np.percentile(latency, 95):.0f} ms"),
        ("arrival to score, longest", f"{latency.max():.0f} ms"),
        (
            "views a frame, second half",
            f"{min(counts)} to {max(counts)}, median {np.median(counts):.0f}, of {views}",
        ),
    ]
    return format_table(("", "live"), rows)


def watch_files(scorer: Scorer, films: Sequence[Path], count: int) -> dict[str, int]:
    """Frames of each film that were scored when the first one had all of its own."""
    with Watcher(scorer, [str(film) for film in films], views_per_frame=count) as watcher:
        for _ in watcher:
            if any(status.ended for status in watcher.statuses):
                break
        return {Path(status.name).name: status.frames for status in watcher.statuses}


def main(
    pictures: Annotated[
        Path, typer.Option(metavar="DIR", help="Three photographs or more.")
    ] = SAMPLES,
    bundle: BundleOption = "demo",
    threads: ThreadsOption = None,
    size: Annotated[str, typer.Option(help="720p or 1080p.")] = "1080p",
    seconds: Annotated[float, typer.Option(min=2, help="Of each film.")] = 20,
    files: Annotated[int, typer.Option(min=1, help="1: live; more: so many files at once.")] = 1,
    views_per_frame: Annotated[int, typer.Option(min=1, help="Of several files.")] = 4,
) -> None:
    """Measure a live stream, or how fair several files are served."""
    if size not in FRAME_SIZES:
        raise UsageError(f"--size {size}: use one of {', '.join(FRAME_SIZES)}")
    script = Script().scale(seconds * FRAME_RATE / Script().length)
    camera = Camera(
        load_enlarged(pictures, *FRAME_SIZES[size]), *FRAME_SIZES[size], seed=1, script=script
    )
    with tempfile.TemporaryDirectory() as folder, Scorer(bundle, threads=threads) as scorer:
        film = Path(folder) / "film0.mp4"
        write_film(film, camera)
        load = os.getloadavg()[0]
        start = time.perf_counter()
        if files == 1:
            table = report_live(watch_live(scorer, film), script.length)
        else:
            films = [film]
            for number in range(1, files):
                films.append(Path(folder) / f"film{number}.mp4")
                shutil.copy(film, films[-1])
            done = watch_files(scorer, films, views_per_frame)
            spread = (max(done.values()) - min(done.values())) / max(done.values())
            table = format_table(("file", "frames"), [(name, str(n)) for name, n in done.items()])
            table += f"\nthe last is {spread:.1%} behind the first\n"
        print(f"{describe_host()}\nload before: {load:.1f}; {scorer.bundle.name}, {size}")
        print(f"{script.length} frames a film, {time.perf_counter() - start:.0f} s\n\n{table}")


if __name__ == "__main__":
    run_script(main)
