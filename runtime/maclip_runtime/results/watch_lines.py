"""What is seen of streams as lines, each written and flushed as it comes: JSON lines or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from typing import Literal, TextIO

from maclip_runtime.results.record import WATCH_COLUMNS, to_watch_record
from maclip_runtime.stream.status import Observation

LineFormat = Literal["jsonl", "csv"]
WriteLine = Callable[[Observation], None]


def write_lines(format: LineFormat, stream: TextIO, attributes: Sequence[str]) -> WriteLine:
    """What writes a line to `stream`. attributes: the names of all, for CSV's header."""
    return _write_csv(stream, attributes) if format == "csv" else _write_json_lines(stream)


def _write_json_lines(stream: TextIO) -> WriteLine:
    """An object a line; what an observation does not have is left out."""

    def write(seen: Observation) -> None:
        record = {k: v for k, v in to_watch_record(seen).items() if v is not None}
        print(json.dumps(record, allow_nan=False), file=stream, flush=True)

    return write


def _write_csv(stream: TextIO, attributes: Sequence[str]) -> WriteLine:
    """A row a line, with a column for each attribute, `attributes.NAME`."""
    columns: list[str] = []
    for name in WATCH_COLUMNS:
        columns += [f"attributes.{each}" for each in attributes] if name == "attributes" else [name]
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    stream.flush()

    def write(seen: Observation) -> None:
        record = to_watch_record(seen)
        values = record.pop("attributes")
        if isinstance(values, dict):
            record |= {f"attributes.{name}": value for name, value in values.items()}
        writer.writerow(record)
        stream.flush()

    return write
