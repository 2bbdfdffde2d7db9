"""Results as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table

from maclip_runtime.errors import PictureError
from maclip_runtime.results.score import Score


def write_table(
    results: Iterable[Score | PictureError], stream: TextIO, attributes: Sequence[str]
) -> None:
    """Write a table of the scores when all are there; errors are not in it."""
    scores = [result for result in results if isinstance(result, Score)]
    if not scores:
        return
    first = scores[0]
    engine = f"{first.engine}, {first.precision}"
    caption = f"bundle {first.bundle}, preset {first.preset}, engine {engine}"
    if first.view_mode != "exact":
        caption += f", {first.view_mode} views"
    if first.bundle == "demo":
        caption += "; demo encoder, not CLIP"
    table = Table(caption=caption, caption_justify="left")
    table.add_column("picture", overflow="fold")
    for name in ("score", "similarity", "magnitude", "weight", "views"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("lowest attribute", no_wrap=True)
    for result in scores:
        size = f"{result.width} x {result.height}" + (" enlarged" if result.enlarged else "")
        cues = (result.score, result.similarity, result.magnitude, result.weight)
        numbers = [f"{value:.4f}" for value in cues]
        lowest = min(attributes, key=result.attributes.__getitem__)
        hint = f"{lowest} {result.attributes[lowest]:.2f}"
        table.add_row(result.path, *numbers, str(result.views), size, hint)
    # Away from a terminal there is no width to fit, and folded paths would break what reads them.
    width = None if stream.isatty() else 1000
    Console(file=stream, width=width, markup=False, highlight=False).print(table)
