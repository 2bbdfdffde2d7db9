"""How results are written: a table for people, JSON, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table

from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.scorer import Score

Record = dict[str, str | float | int | bool]

COLUMNS = (
    "path", "score", "similarity", "magnitude", "weight", "views", "width", "height", "enlarged",
    "preset", "engine", "precision", "view_mode", "bundle",
)  # fmt: skip


class Format(str, Enum):
    """The formats of `maclip score`."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


def to_record(result: Score | PictureError) -> Record:
    """A result as an object of its JSON output: `path` and `error` only, for one that failed."""
    if isinstance(result, PictureError):
        return {"path": result.picture, "error": result.reason}
    record: Record = {name: getattr(result, name) for name in COLUMNS}
    # Scores are float32: more digits than seven say nothing.
    return {k: float(f"{v:.7g}") if isinstance(v, float) else v for k, v in record.items()}


def write_records(results: Iterable[Score | PictureError], format: Format, stream: TextIO) -> None:
    """Write results to `stream`; JSON lines and CSV as each comes, the others at the end."""
    if format is Format.jsonl:
        for result in results:
            print(json.dumps(to_record(result)), file=stream, flush=True)
    elif format is Format.csv:
        writer = csv.DictWriter(stream, (*COLUMNS, "error"), lineterminator="\n")
        writer.writeheader()
        for result in results:
            writer.writerow(to_record(result))
            stream.flush()
    elif format is Format.json:
        json.dump([to_record(result) for result in results], stream, indent=1)
        stream.write("\n")
    else:
        _write_table(list(results), stream)


def _write_table(results: list[Score | PictureError], stream: TextIO) -> None:
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
    for result in scores:
        size = f"{result.width} x {result.height}" + (" enlarged" if result.enlarged else "")
        cues = (result.score, result.similarity, result.magnitude, result.weight)
        numbers = [f"{value:.4f}" for value in cues]
        table.add_row(result.path, *numbers, str(result.views), size)
    # Away from a terminal there is no width to fit, and folded paths would break what reads them.
    width = None if stream.isatty() else 1000
    Console(file=stream, width=width, markup=False, highlight=False).print(table)


@contextmanager
def open_output(path: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file that appears whole when the block ends without an error."""
    if path is None:
        yield sys.stdout
        return
    try:
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            yield stream
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    finally:
        Path(partial).unlink(missing_ok=True)
