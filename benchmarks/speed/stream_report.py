"""How near turned scores are to exact ones: the numbers, the tables and the plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.report import format_number, format_table, make_figure
from benchmarks.speed.camera import Event
from benchmarks.speed.film import Film
from maclip_runtime.method.pixels import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WITHIN = 0.02  # of the exact score: what counts as recovered after an event


@dataclass(frozen=True)
class Agreement:
    """Turned scores against exact ones.

    `mean`, `p95`: of the absolute difference. `beyond`: the part of the frames off by more than 0.02.
    `recovery`: frames from each sudden event until none is, up to the next event.
    """

    stream: str
    method: str
    views: int
    count: int
    mean: float
    p95: float
    plcc: float
    beyond: float
    recovery: dict[str, int]

    @property
    def cycle(self) -> int:
        """Frames until every view had its turn: V / N, rounded up."""
        return -(-self.views // self.count)


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
        float((error > WITHIN).mean()),
        {
            event.name: _recover(error, event, film.camera.events)
            for event in film.camera.events
            if event.sudden
        },
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
            f"{100 * a.beyond:.1f} %",
        ]
        for a in found
    ]
    header = ["stream", "order", "views a frame", "mean", "p95", "PLCC", "beyond 0.02"]
    return format_table(header, rows)


def format_jitters(films: Sequence[Film]) -> str:
    """A line on what sensor noise does to the exact scores of each stream."""
    jitters = "; ".join(f"{film.name}: {film.jitter:.4f}" for film in films)
    return f"By noise alone, exact scores go from frame to frame by ({jitters}).\n"


def format_recoveries(found: Sequence[Agreement], events: Sequence[Event]) -> str:
    """A table with a row for each sudden event: the slowest recovery of all streams, for each N."""
    turned = [a for a in found if a.method == "turns"]
    counts = sorted({a.count for a in turned})
    rows = [
        [
            event.name,
            *(str(max(a.recovery[event.name] for a in turned if a.count == n)) for n in counts),
        ]
        for event in events
        if event.sudden
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
