"""Results as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from maclip_runtime.results.names import show_name
from maclip_runtime.results.record import Record


def write_table(records: Iterable[Record], stream: TextIO, attributes: Sequence[str]) -> None:
    """Write a table of the scores when all are there; errors are not in it."""
    scores: list[dict[str, Any]] = [dict(record) for record in records if "error" not in record]
    if not scores:
        return
    first = scores[0]
    engine = f"{first['engine']}, {first['precision']}"
    caption = f"bundle {show_name(first['bundle'])}, preset {first['preset']}, engine {engine}"
    if first["view_mode"] != "exact":
        caption += f", {first['view_mode']} views"
    if first["bundle"] == "demo":
        caption += "; demo encoder, not CLIP"
    table = Table(caption=caption, caption_justify="left")
    table.add_column("picture", overflow="fold")
    for name in ("score", "similarity", "magnitude", "weight", "views"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("lowest attribute", no_wrap=True)
    for score in scores:
        size = f"{score['width']} x {score['height']}" + (" enlarged" if score["enlarged"] else "")
        cues = [score[name] for name in ("score", "similarity", "magnitude", "weight")]
        numbers = [f"{value:.4f}" for value in cues]
        lowest = min(attributes, key=score["attributes"].__getitem__)
        hint = f"{show_name(lowest)} {score['attributes'][lowest]:.2f}"
        table.add_row(show_name(score["path"]), *numbers, str(score["views"]), size, hint)
    # Away from a terminal there is no width to fit, and folded paths would break what reads them.
    width = None if stream.isatty() else 1000
    Console(file=stream, width=width, markup=False, highlight=False).print(table)
