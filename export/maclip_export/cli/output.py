"""What the commands of an export print: steps as they go, and what was written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from maclip_export.vocabulary import Report
from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.cli.console import say
from maclip_runtime.results.names import show_name


@contextmanager
def report_steps() -> Iterator[Report]:
    """A reporter of steps: a spinner on a terminal, a line a step elsewhere; both on stderr."""
    console = Console(stderr=True, highlight=False, markup=False)
    if not console.is_terminal:
        yield lambda step: print(f"{step} ...", file=sys.stderr, flush=True)  # noqa: T201
        return
    with console.status("starting") as status:

        def report(step: str) -> None:
            console.print(step)
            status.update(f"{step} ...")

        yield report


def print_summary(bundle: Bundle) -> None:
    """What was written: files, sizes, differences."""
    table = Table(title=show_name(str(bundle.path)), title_justify="left")
    table.add_column("file", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("from")
    for file in bundle.manifest.files:
        check = file.verification
        if file.agreement is not None:
            ranking = f"SRCC {file.agreement.srcc:.4f}"
            source = f"float32 scores of {file.agreement.pictures} degraded pictures"
            table.add_row(file.path, f"{file.size / 1e6:.1f} MB", ranking, source)
            continue
        difference = f"{check.difference:.1e} (limit {check.tolerance:.0e})" if check else ""
        reference = check.reference if check else ""
        table.add_row(file.path, f"{file.size / 1e6:.1f} MB", difference, reference)
    Console(markup=False, highlight=False).print(table)
    say(f"score with: maclip score PICTURES --bundle {bundle.path}")
