"""What commands say beside their results: messages and progress, on stderr."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from maclip_runtime.cli.options import show_option
from maclip_runtime.errors import MaclipError, OutputError
from maclip_runtime.results.names import show_name

_STREAMS = (0, 1, 2)


def prepare_streams() -> None:
    """Have stdin, stdout and stderr be open, and take every text. Called before any file is opened.

    Of one that was closed, the number would go to the next file, and what is printed would go into that.
    In its place comes one that cannot be written, so that results are not lost unnoticed, and for stderr
    one that is not read.
    """
    for number in _STREAMS:
        try:
            os.fstat(number)
        except OSError:
            kind = os.O_WRONLY if number == 2 else os.O_RDONLY
            opened = os.open(os.devnull, kind)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        # A name that is not UTF-8 must not cost the results.
        getattr(stream, "reconfigure", lambda **kind: None)(errors="backslashreplace")


def check_stdout() -> None:
    """Raise OutputError, before long work begins, where stdout was closed."""
    try:
        mode = fcntl.fcntl(sys.stdout.fileno(), fcntl.F_GETFL)
    except (OSError, ValueError):  # no file behind it, as in tests
        return
    if mode & os.O_ACCMODE == os.O_RDONLY:
        raise OutputError(
            "stdout: closed, so there is nowhere to write to", "redirect it to a file"
        )


def tell(message: str | MaclipError) -> None:
    """Print a message, or an error with its remedy in this command line's options, as one line."""
    text = message.render(show_option) if isinstance(message, MaclipError) else message
    # Results are worth more than what is said of them, should nobody read that.
    with suppress(OSError):
        print(f"maclip: {show_name(text)}", file=sys.stderr, flush=True)  # noqa: T201


def say(text: str) -> None:
    """Print a command's result on stdout, as one line."""
    print(show_name(text), flush=True)  # noqa: T201


@contextmanager
def show_progress(what: str, total: int) -> Iterator[Callable[[str], None]]:
    """What to call after every item, with its path: a bar where stderr is a terminal, else nothing."""
    console = Console(stderr=True)
    if not console.is_terminal or total < 2:
        yield lambda path: None
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
        yield lambda path: progress.update(
            task, advance=1, current=show_name(path.rpartition("/")[2])
        )
