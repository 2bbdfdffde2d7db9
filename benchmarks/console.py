"""What the scripts have in common at a terminal: progress and one-line errors, both on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from maclip_runtime.errors import MaclipError

T = TypeVar("T")


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """Go through `items` with a progress bar, the time used and the time left, on stderr."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("used,"),
        TimeRemainingColumn(elapsed_when_finished=False),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(items, description=what)


def run_script(main: Callable[..., None]) -> None:
    """Run a script's command; an error that the user can act on is one line, and exit status 2."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(main)
    try:
        app()
    except MaclipError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
