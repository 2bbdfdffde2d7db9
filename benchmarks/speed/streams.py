"""How near are the scores of a stream whose views take turns to scoring every view of every frame?

    python -m benchmarks.speed.streams --pictures DIR --output docs/streams

Films photographs with a simulated camera (`camera.py`), three for each stream, in the order of their
names; scores all views of every frame, once: the cues are kept in --cache, so that trying other turns
takes seconds; then lets the views take turns, N at a time, and compares. "Fixed" order is what turns
without any sense of change give: the views one after the other, the others as they were.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.console import run_script
from benchmarks.report import name_command, write_files
from benchmarks.speed.camera import Camera
from benchmarks.speed.film import FRAME_SIZES, Film, load_photographs, shoot
from benchmarks.speed.stream_report import (
    compare,
    format_agreements,
    format_jitters,
    format_recoveries,
    plot,
)
from maclip_runtime import Scorer
from maclip_runtime.errors import UsageError
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Floats
from maclip_runtime.stream.change import measure_cells
from maclip_runtime.stream.turns import Turns

DEFAULT_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maclip-streams"


def take_turns(film: Film, geometry: ViewGeometry, count: int) -> Floats:
    """The turned score of every frame, `[F]`, with `count` views encoded a frame."""
    turns = Turns(geometry, film.camera.height, film.camera.width)
    scores = np.empty(len(film.cues), np.float32)
    for number, (cues, cells) in enumerate(zip(film.cues, film.cells, strict=True)):
        chosen, _ = turns.choose_by_cells(cells, count)
        scores[number] = turns.settle(chosen, cues[chosen])[:, 2].mean()
    return scores


def take_fixed_order(film: Film, count: int) -> Floats:
    """The same, one view after the other whatever happens; views not seen yet are left out."""
    views = film.cues.shape[1]
    last = np.full(views, np.nan, np.float32)
    scores = np.empty(len(film.cues), np.float32)
    for number, cues in enumerate(film.cues):
        chosen = np.arange(number * count, (number + 1) * count) % views
        last[chosen] = cues[chosen, 2]
        scores[number] = np.nanmean(last)
    return scores


def time_overhead(film: Film, geometry: ViewGeometry, count: int) -> tuple[float, float]:
    """Milliseconds a frame, medians: to measure its cells, and for the turns themselves."""
    turns = Turns(geometry, film.camera.height, film.camera.width)
    cells_time, turns_time = [], []
    for number in range(min(100, len(film.cells))):
        frame = film.camera.take(number)
        start = time.perf_counter()
        cells = measure_cells(frame)
        middle = time.perf_counter()
        chosen, _ = turns.choose_by_cells(cells, count)
        turns.settle(chosen, film.cues[number][chosen])
        turns_time.append(time.perf_counter() - middle)
        cells_time.append(middle - start)
    return 1e3 * float(np.median(cells_time)), 1e3 * float(np.median(turns_time))


def main(
    pictures: Annotated[
        Path, typer.Option("--pictures", help="A folder of photographs.", metavar="DIR")
    ],
    bundle: Annotated[
        str, typer.Option("--bundle", help="A bundle, or demo.", metavar="DIR")
    ] = "demo",
    precision: Annotated[str, typer.Option("--precision", help="Of the graph.")] = "fp32",
    size: Annotated[str, typer.Option("--size", help="720p or 1080p.")] = "720p",
    streams: Annotated[
        int, typer.Option("--streams", help="How many, of three photographs each.")
    ] = 3,
    noise: Annotated[
        float, typer.Option("--noise", help="Sensor noise, standard deviation in 8-bit steps.")
    ] = 2.0,
    counts: Annotated[
        str, typer.Option("--views-per-frame", help="N, with commas; default: 1, 2, V/9, 2V/9.")
    ] = "",
    seed: Annotated[int, typer.Option("--seed", help="Of the first stream.")] = 1,
    threads: Annotated[
        int | None, typer.Option("--threads", help="CPU threads of the engine.")
    ] = None,
    cache: Annotated[
        Path, typer.Option("--cache", help="Where exact cues are kept.", metavar="DIR")
    ] = DEFAULT_CACHE,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for tables, numbers and the plot.")
    ] = None,
) -> None:
    """Compare turned scores with scoring all views of every frame."""
    if size not in FRAME_SIZES:
        raise UsageError(f"--size {size}: use one of {', '.join(FRAME_SIZES)}")
    width, height = FRAME_SIZES[size]
    scorer = Scorer(bundle, precision=precision, threads=threads)  # type: ignore[arg-type]
    films = []
    for number, photographs in enumerate(load_photographs(pictures, streams, width, height)):
        frames = [frame for _, frame in photographs]
        camera = Camera(frames, width, height, seed=seed + number, noise=noise)
        films.append(shoot(scorer, photographs, camera, cache))
    geometry = scorer.bundle.manifest.method.views
    views = films[0].cues.shape[1]
    chosen = [int(n) for n in counts.split(",")] if counts else _default_counts(views)
    ninth = round(views / 9)
    found = []
    for film in films:
        found.append(compare(film, take_fixed_order(film, ninth), "fixed", ninth))
        found += [compare(film, take_turns(film, geometry, n), "turns", n) for n in chosen]
    cost = time_overhead(films[0], geometry, ninth)
    report = (
        f"{scorer.bundle.name}, {scorer.engine.precision}, {size}, noise {noise:g}, "
        f"{films[0].camera.script.length} frames a stream\n\n"
        + format_agreements(found)
        + "\n"
        + format_jitters(films)
        + "\nFrames from a sudden event until no score is off by more than 0.02, up to the next event; "
        + "of all streams the slowest:\n\n"
        + format_recoveries(found, films[0].camera.events)
        + f"\nA frame's cells take {cost[0]:.1f} ms, its turns {cost[1]:.1f} ms.\n"
    )
    print(report)
    if output is not None:
        name = f"{size}-{scorer.engine.precision}-noise{noise:g}"
        first = films[0]
        turned = take_turns(first, geometry, ninth)
        write_files(
            output,
            {
                f"{name}.md": f"`{name_command()}`\n\n{report}",
                f"{name}.json": {"agreement": [asdict(a) for a in found], "milliseconds": cost},
                f"{name}.png": plot(first, turned, take_fixed_order(first, ninth), ninth),
            },
        )


def _default_counts(views: int) -> list[int]:
    return sorted({1, 2, round(views / 9), round(2 * views / 9)})


if __name__ == "__main__":
    run_script(main)
