"""What commands say beside their results: messages and progress, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from maclip_runtime.cli.options import show_option
from maclip_runtime.errors import MaclipError


def tell(message: str | MaclipError) -> None:
    """Print a message, or an error with its remedy in this command line's options, as one line."""
    text = message.render(show_option) if isinstance(message, MaclipError) else message
    print(f"maclip: {text}", file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def show_progress(what: str, total: int) -> Iterator[Callable[[str], None]]:
    """What to call after every item, with its name: a bar where stderr is a terminal, else nothing."""
    console = Console(stderr=True)
    if not console.is_terminal or total < 2:
        yield lambda name: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[current]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total, current="")
        yield lambda name: progress.update(task, advance=1, current=name)
