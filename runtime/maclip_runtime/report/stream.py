"""The report of streams: the score over time, with events and the frames at its worst moments; one file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.errors import UsageError
from maclip_runtime.report.axes import span_values
from maclip_runtime.report.charts import HEIGHT, WIDTH, Tick, place_ticks
from maclip_runtime.report.page import write_page
from maclip_runtime.report.thumbnails import encode_thumbnail
from maclip_runtime.report.timeline import Timeline
from maclip_runtime.results.names import show_name

_MOST_EVENTS = 500  # a page that lists more is not read


@dataclass(frozen=True)
class Moment:
    """A frame at a bad moment of a stream."""

    frame: int
    time: float
    score: float
    thumbnail: bytes


@dataclass(frozen=True)
class Event:
    """What began or ended at a time of a stream."""

    name: str
    frame: int
    time: float
    score: float | None


@dataclass
class _Source:
    """What is kept of one stream."""

    timeline: Timeline = field(default_factory=Timeline)
    events: list[Event] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    dropped: int = 0
    events_left_out: int = 0


@dataclass(frozen=True)
class Chart:
    """A stream as the template draws it; the line is broken nowhere, the band is lowest to highest."""

    source: str
    readings: int
    dropped: int
    line: str
    band: str
    lowest: float
    mean: float
    highest: float
    times: tuple[Tick, ...]
    scores: tuple[Tick, ...]
    marks: tuple[tuple[float, str], ...]
    events: tuple[Event, ...]
    events_left_out: int
    moments: tuple[Moment, ...]


class StreamReport:
    """Collects readings of streams, in bounded memory however long they are, and writes them as one page.

    settings: what the page says of how frames were scored. moments: worst frames kept of a source, at least
    `apart` seconds from each other.
    """

    def __init__(
        self, settings: Mapping[str, str], *, moments: int = 12, apart: float = 2.0
    ) -> None:
        self._settings = dict(settings)
        self._most_moments, self._apart = moments, apart
        self._sources: dict[str, _Source] = {}

    def add(self, reading: Mapping[str, Any], frame: NDArray[np.uint8] | None = None) -> None:
        """Take a line of `watch` (`source`, `frame`, `time`, `score`, `dropped`, perhaps `event`).

        frame: uint8 `[H, W, 3]`, looked at only where this is one of the worst moments so far.
        """
        kept = self._sources.setdefault(str(reading["source"]), _Source())
        number, time, score = int(reading["frame"]), float(reading["time"]), reading.get("score")
        kept.dropped = int(reading.get("dropped") or 0)
        if reading.get("event"):
            if len(kept.events) < _MOST_EVENTS:
                kept.events.append(Event(str(reading["event"]), number, time, score))
            else:
                kept.events_left_out += 1
        if score is None or not math.isfinite(score):
            return
        kept.timeline.add(time, float(score))
        if frame is not None:
            self._keep_moment(kept, number, time, float(score), frame)

    def _keep_moment(
        self, kept: _Source, number: int, time: float, score: float, frame: NDArray[np.uint8]
    ) -> None:
        """Keep a frame if it is lower than all kept ones near it, and among the lowest of all."""
        near = [moment for moment in kept.moments if abs(moment.time - time) < self._apart]
        if any(moment.score <= score for moment in near):
            return
        others = [moment for moment in kept.moments if moment not in near]
        if len(others) >= self._most_moments:
            worst_kept = max(others, key=lambda moment: moment.score)
            if worst_kept.score <= score:
                return
            others.remove(worst_kept)
        others.append(Moment(number, time, score, encode_thumbnail(frame)))
        kept.moments = others

    def write(self, path: Path) -> None:
        """Write the page. UsageError if there was no reading, OutputError if the file cannot be written."""
        charts = [_draw(name, kept) for name, kept in self._sources.items() if len(kept.timeline)]
        if not charts:
            raise UsageError(f"{path}: no readings to report on")
        write_page(path, "stream.html", charts=charts, settings=self._settings)


def _draw(name: str, kept: _Source) -> Chart:
    bins = list(kept.timeline)
    start, end = bins[0].start, max(bins[-1].end, bins[0].start + 1e-3)
    ends = [value for each in bins for value in (each.low, each.high)]
    low, high = span_values(np.array(ends, np.float32))

    def across(time: float) -> float:
        return WIDTH * (time - start) / (end - start)

    def down(score: float) -> float:
        return HEIGHT * (high - score) / (high - low)

    middle = [(across((b.start + b.end) / 2), b) for b in bins]
    upper = [f"{x:.1f},{down(b.high):.1f}" for x, b in middle]
    lower = [f"{x:.1f},{down(b.low):.1f}" for x, b in reversed(middle)]
    scores = tuple(
        Tick(HEIGHT - tick.place, tick.label) for tick in place_ticks(low, high, HEIGHT, 4)
    )
    readings = len(kept.timeline)
    return Chart(
        source=show_name(name),
        readings=readings,
        dropped=kept.dropped,
        line=" ".join(f"{x:.1f},{down(b.mean):.1f}" for x, b in middle),
        band=" ".join((*upper, *lower)),
        lowest=min(b.low for b in bins),
        mean=sum(b.total for b in bins) / readings,
        highest=max(b.high for b in bins),
        times=place_ticks(start, end, WIDTH),
        scores=scores,
        marks=tuple((across(event.time), event.name) for event in kept.events),
        events=tuple(kept.events),
        events_left_out=kept.events_left_out,
        moments=tuple(sorted(kept.moments, key=lambda moment: moment.score)),
    )
