"""How near are the scores of a stream whose views take turns to scoring every view of every frame?

    python -m benchmarks.speed.streams --pictures DIR --output docs/streams

Films photographs with a simulated camera (`camera.py`), three for each stream, in the order of their
names; scores all views of every frame, once: the cues are kept in --cache, so that trying other turns
takes seconds; then lets the views take turns, N at a time, and compares. "Fixed order" is what turns
without any sense of change give: the views one after the other, the others as they were.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from benchmarks.console import run_script, track
from benchmarks.report import (
    format_number,
    format_table,
    make_figure,
    name_command,
    write_files,
)
from benchmarks.speed.camera import Camera, Event, Frame
from maclip_runtime import Scorer
from maclip_runtime.errors import UsageError
from maclip_runtime.stream.change import measure_cells
from maclip_runtime.stream.turns import Turns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float32]

FRAME_SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
WITHIN = 0.02  # of the exact score: what counts as recovered after an event
DEFAULT_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maclip-streams"
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Film:
    """One stream: the cues of all views of every frame, and the cells that turns see of it.

    cues: `[F, V, 3]`, similarity, magnitude and score. cells: a frame's each, see `measure_cells`.
    """

    name: str
    camera: Camera
    cues: Floats
    cells: Sequence[Floats]

    @property
    def exact(self) -> Floats:
        """The published score of every frame, `[F]`."""
        return self.cues[..., 2].mean(axis=1)


@dataclass(frozen=True)
class Agreement:
    """Turned scores against exact ones. `recovery`: frames from each event until within 0.02 for good."""

    stream: str
    method: str
    views: int
    count: int
    mean: float
    p95: float
    plcc: float
    recovery: dict[str, int]

    @property
    def cycle(self) -> int:
        """Frames until every view had its turn: V / N, rounded up."""
        return -(-self.views // self.count)


def load_photographs(
    folder: Path, streams: int, width: int, height: int
) -> list[list[tuple[str, Frame]]]:
    """Three photographs, as large as a frame or larger, for each stream, with their names."""
    loaded: list[tuple[str, Frame]] = []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
        with Image.open(path) as image:
            if image.width >= width and image.height >= height and len(loaded) < 3 * streams:
                loaded.append((path.stem, np.asarray(image.convert("RGB"))))
    if len(loaded) < 3 * streams:
        raise UsageError(
            f"{folder}: has {len(loaded)} photographs of {width} x {height} or more; {streams} "
            f"streams need {3 * streams}"
        )
    return [loaded[3 * k : 3 * k + 3] for k in range(streams)]


def record(scorer: Scorer, camera: Camera, cache: Path) -> Floats:
    """The exact cues `[F, V, 3]` of a stream, from the cache if they are there."""
    key = json.dumps(identify(scorer, camera), sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = cache / f"stream-{digest}.npy"
    if path.exists():
        return np.load(path, allow_pickle=False)
    cues = []
    for frame in track(list(range(camera.script.length)), "all views of every frame"):
        seen = scorer.score(camera.take(frame)).cues
        cues.append(np.stack([seen.similarity, seen.magnitude, seen.score], axis=1))
    cache.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, np.stack(cues))
    partial = path.with_suffix(".partial")
    partial.write_bytes(buffer.getvalue())
    partial.replace(path)
    return np.stack(cues)


def identify(scorer: Scorer, camera: Camera) -> dict[str, object]:
    """All that the exact cues depend on; of the frames, one of each part of the stream."""
    return {
        "files": {file.path: file.sha256 for file in scorer.bundle.manifest.files},
        "engine": scorer.engine.name,
        "precision": scorer.engine.precision,
        "length": camera.script.length,
        "frames": [
            hashlib.sha256(camera.take(event.frame + 1).tobytes()).hexdigest()
            for event in camera.events
        ],
    }


def take_turns(film: Film, scorer: Scorer, width: int, height: int, count: int) -> Floats:
    """The turned score of every frame, `[F]`, with `count` views encoded a frame."""
    turns = Turns(scorer.bundle.manifest.method.views, height, width)
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


def compare(film: Film, scores: Floats, method: str, count: int) -> Agreement:
    """How near `scores` are to the exact ones."""
    error = np.abs(scores - film.exact)
    return Agreement(
        film.name,
        method,
        film.cues.shape[1],
        count,
        float(error.mean()),
        float(np.percentile(error, 95)),
        float(np.corrcoef(scores, film.exact)[0, 1]),
        {event.name: _recover(error, event, film.camera.events) for event in film.camera.events},
    )


def _recover(error: Floats, event: Event, events: Sequence[Event]) -> int:
    """Frames from an event until the error is small, and stays so until the next event."""
    later = [other.frame for other in events if other.frame > event.frame]
    outside = np.nonzero(error[event.frame : min([*later, len(error)])] > WITHIN)[0]
    return int(outside[-1]) + 1 if len(outside) else 0


def format_agreements(found: Sequence[Agreement]) -> str:
    """A table with a row for each stream, method and N."""
    rows = [
        [
            a.stream,
            a.method,
            f"{a.count} of {a.views}",
            format_number(a.mean, 4),
            format_number(a.p95, 4),
            format_number(a.plcc, 4),
        ]
        for a in found
    ]
    return format_table(["stream", "order", "views a frame", "mean", "p95", "PLCC"], rows)


def format_recoveries(found: Sequence[Agreement], events: Sequence[Event]) -> str:
    """A table with a row for each event: the slowest recovery of all streams, for each N."""
    turned = [a for a in found if a.method == "turns"]
    counts = sorted({a.count for a in turned})
    rows = [
        [
            event.name + ("" if event.sudden else " (gradual)"),
            *(str(max(a.recovery[event.name] for a in turned if a.count == n)) for n in counts),
        ]
        for event in events
    ]
    cycles = [next(a.cycle for a in turned if a.count == n) for n in counts]
    header = [f"N = {n} (V / N = {cycle})" for n, cycle in zip(counts, cycles, strict=True)]
    return format_table(["event", *header], rows)


def plot(film: Film, turned: Floats, fixed: Floats, count: int) -> Figure:
    """Exact, turned and fixed-order scores over the stream, and their differences below."""
    figure = make_figure(9, 5, dpi=120)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    seconds = np.arange(len(turned)) / 30
    views = film.cues.shape[1]
    upper.plot(
        seconds, fixed, color="tab:orange", linewidth=0.8, label=f"{count} views, fixed order"
    )
    upper.plot(seconds, film.exact, color="black", linewidth=1.6, label=f"all {views} views")
    upper.plot(seconds, turned, color="tab:blue", linewidth=0.9, label=f"{count} views in turns")
    lower.plot(seconds, fixed - film.exact, color="tab:orange", linewidth=0.8)
    lower.plot(seconds, turned - film.exact, color="tab:blue", linewidth=0.9)
    lower.axhspan(-WITHIN, WITHIN, color="0.9")
    lower.set_ylim(-0.08, 0.08)
    low = float(upper.get_ylim()[0])
    for event in film.camera.events:
        upper.axvline(event.frame / 30, color="0.8", linewidth=0.7, zorder=0)
        upper.annotate(event.name, (event.frame / 30, low), rotation=90, fontsize=6, color="0.4",
                       xytext=(1, 2), textcoords="offset points")  # fmt: skip
    upper.set_ylabel("score")
    lower.set_ylabel("difference")
    lower.set_xlabel("seconds")
    upper.legend(loc="upper right", fontsize=8)
    return figure


def time_overhead(
    film: Film, scorer: Scorer, width: int, height: int, count: int
) -> tuple[float, float]:
    """Milliseconds a frame, medians: to measure its cells, and for the turns themselves."""
    turns = Turns(scorer.bundle.manifest.method.views, height, width)
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
        names, frames = zip(*photographs, strict=True)
        camera = Camera(frames, width, height, seed=seed + number, noise=noise)
        cues = record(scorer, camera, cache)
        films.append(
            Film(", ".join(names), camera, cues, [measure_cells(f) for f in camera.film()])
        )
    views = films[0].cues.shape[1]
    chosen = [int(n) for n in counts.split(",")] if counts else _default_counts(views)
    ninth = round(views / 9)
    found = []
    for film in films:
        found.append(compare(film, take_fixed_order(film, ninth), "fixed", ninth))
        found += [
            compare(film, take_turns(film, scorer, width, height, n), "turns", n) for n in chosen
        ]
    cost = time_overhead(films[0], scorer, width, height, ninth)
    report = (
        f"{scorer.bundle.name}, {scorer.engine.precision}, {size}, noise {noise:g}, "
        f"{films[0].camera.script.length} frames a stream\n\n"
        + format_agreements(found)
        + "\nFrames until the score is within 0.02 of the exact one, and stays so until the next "
        + "event; of all streams the slowest:\n\n"
        + format_recoveries(found, films[0].camera.events)
        + f"\nA frame's cells take {cost[0]:.1f} ms, its turns {cost[1]:.1f} ms.\n"
    )
    print(report)
    if output is not None:
        name = f"{size}-{scorer.engine.precision}-noise{noise:g}"
        first = films[0]
        turned = take_turns(first, scorer, width, height, ninth)
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
