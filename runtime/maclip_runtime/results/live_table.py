"""What is seen of streams as a table that changes, for people at a terminal: a row a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from maclip_runtime.stream.status import TREND_SECONDS, SourceStatus

_BARS = "▁▂▃▄▅▆▇█"
_LEAST_SPAN = 0.1  # of scores that a sparkline spreads over its height: less would magnify noise
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
        table = Table(expand=True, caption=self._caption, caption_justify="left", pad_edge=False)
        table.add_column("source", no_wrap=True, overflow="ellipsis", ratio=1, min_width=8)
        table.add_column("score", justify="right", no_wrap=True)
        trend = min(TREND_SECONDS, 30 if wide else 10)
        table.add_column(f"{trend} s", no_wrap=True, width=trend)
        for name in ("fps", "fresh", "dropped", "ms"):
            table.add_column(name, justify="right", no_wrap=True)
        if wide:
            table.add_column("views", justify="right", no_wrap=True)
        table.add_column("last event", no_wrap=True, overflow="ellipsis", min_width=10)
        for status in self._statuses:
            table.add_row(*_make_row(status, trend, wide))
        yield table


def _make_row(status: SourceStatus, trend: int, wide: bool) -> list[Text]:
    style = "red" if status.alert or status.error else ("dim" if status.ended else "")
    seen = status.last
    cells = [Text(status.name), *[Text("") for _ in range(6)]]
    views = Text("")
    if seen is not None and seen.reading is not None:
        reading = seen.reading
        latency = 1000 * (seen.latency or 0)
        rate = f"{status.frame_rate:.1f}" if not status.ended else ""
        numbers = (f"{rate}", f"{reading.fresh:.0%}", f"{status.dropped}", f"{latency:.0f}")
        cells = [
            Text(status.name),
            Text(f"{reading.score:.3f}", "bold"),
            Text(draw_sparkline(status.trend[-trend:])),
            *map(Text, numbers),
        ]
        views = Text(f"{reading.refreshed} of {reading.views}")
    row = [*cells, *([views] if wide else []), Text(_describe_event(status))]
    for cell in row:
        cell.stylize(style)
    return row


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
