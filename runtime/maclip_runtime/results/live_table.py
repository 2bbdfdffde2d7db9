"""What is seen of streams as a table that changes, for people at a terminal: a row a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from maclip_runtime.stream.status import SourceStatus

_BARS = "▁▂▃▄▅▆▇█"
_LEAST_SPAN = 0.1  # of scores that a sparkline spreads over its height: less would magnify noise
_LINES_AROUND = 5  # of the table, beside its rows
_LEAST_TREND, _MOST_TREND = 8, 30  # seconds, and columns
_WIDE = 110  # columns from which on all of the table is shown
_REFRESHES = 4  # a second


@contextmanager
def show_table(statuses: Sequence[SourceStatus], caption: str, stream: TextIO) -> Iterator[None]:
    """Show the table while the block lasts, and leave its last state; messages appear above it."""
    console = Console(file=stream, highlight=False)
    table = _LiveTable(statuses, caption)
    with Live(table, console=console, refresh_per_second=_REFRESHES):
        yield


class _LiveTable:
    """Drawn anew from the statuses whenever the terminal is."""

    def __init__(self, statuses: Sequence[SourceStatus], caption: str) -> None:
        self._statuses = statuses
        self._caption = caption

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= _WIDE
        widths = {
            "score": 5, "fps": 5, "fresh": 5, "dropped": 7, "latency": 7,
            **({"views": 9} if wide else {}), "last event": 17 if wide else 14,
        }  # fmt: skip
        room = options.max_width - sum(widths.values()) - 2 * (len(widths) + 1) - 3
        # What the names leave is the trend's.
        longest = max(len(_strip_scheme(status.name)) for status in self._statuses)
        trend = min(max(room - longest, _LEAST_TREND), _MOST_TREND if wide else _LEAST_TREND)
        room -= trend
        score = widths.pop("score")
        widths = {"score": score, f"{trend} s": trend, **widths}
        shown, caption = self._statuses, self._caption
        rows = max(1, console.height - _LINES_AROUND)
        if len(shown) > rows:
            shown = sorted(shown, key=_urgency)[:rows]
            caption += f"; {len(self._statuses) - rows} more sources, with higher scores"
        table = Table(
            box=SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            caption=caption,
            caption_justify="left",
        )
        names = [_shorten(_strip_scheme(status.name), max(room, 8)) for status in shown]
        table.add_column("source", no_wrap=True, width=max(map(len, [*names, "source"])))
        for name, width in widths.items():
            left = name in (f"{trend} s", "last event")
            table.add_column(name, justify="left" if left else "right", no_wrap=True, width=width)
        for name, status in zip(names, shown, strict=True):
            table.add_row(name, *_make_row(status, trend, wide), style=_choose_style(status))
        yield table


def _make_row(status: SourceStatus, trend: int, wide: bool) -> list[str | Text]:
    """All cells but the name."""
    seen = status.last
    event = _describe_event(status)
    if seen is None or seen.reading is None:
        return [*[""] * (7 if wide else 6), event]
    reading = seen.reading
    return [
        Text(f"{reading.score:.3f}", "bold"),
        draw_sparkline(status.trend[-trend:]),
        "" if status.ended else f"{status.frame_rate:.1f}",
        f"{reading.fresh:.0%}",
        str(status.dropped),
        f"{1000 * (seen.latency or 0):.0f} ms",
        *([f"{reading.refreshed} of {reading.views}"] if wide else []),
        event,
    ]


def _urgency(status: SourceStatus) -> tuple[bool, float]:
    """For sorting: what needs attention first, then the lowest scores."""
    seen = status.last
    score = seen.reading.score if seen is not None and seen.reading is not None else 0.0
    return not (status.alert or not status.up), score


def _choose_style(status: SourceStatus) -> str:
    if status.alert or status.error is not None:
        return "red"
    if status.ended:
        return "dim"
    return "" if status.up or status.last is None else "yellow"  # lost


def _strip_scheme(name: str) -> str:
    return name.partition("://")[2] or name


def _shorten(name: str, width: int) -> str:
    """A name that fits: its beginning and its end, which tell cameras and files apart."""
    if len(name) <= width:
        return name
    end = width // 2
    return f"{name[: width - end - 1]}…{name[-end:]}"


def _describe_event(status: SourceStatus) -> str:
    if status.error is not None:
        return "failed"
    if status.ended:
        return "ended"
    if status.event is None:
        return "" if status.last is not None else "opening"
    event, when = status.event
    return event.name if when is None else f"{event.name} {_format_time(when)}"


def _format_time(seconds: float) -> str:
    """75.2 as 1:15."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def draw_sparkline(values: Sequence[float]) -> str:
    """The values as bars, from their lowest to their highest, spread over 0.1 at the least."""
    if not values:
        return ""
    low, high = min(values), max(values)
    room = max(0.0, _LEAST_SPAN - (high - low)) / 2
    low, span = low - room, max(high - low, _LEAST_SPAN)
    steps = len(_BARS)
    return "".join(_BARS[min(steps - 1, int(steps * (value - low) / span))] for value in values)
