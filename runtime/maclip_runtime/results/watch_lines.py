"""What is seen of streams as lines, each written and flushed as it comes: JSON lines or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from typing import Literal, TextIO

from maclip_runtime.results.record import flatten, list_watch_columns, to_watch_record
from maclip_runtime.stream.status import Observation

LineFormat = Literal["jsonl", "csv"]
WriteLine = Callable[[Observation], None]


def write_lines(format: LineFormat, stream: TextIO, attributes: Sequence[str]) -> WriteLine:
    """What writes a line to `stream`. attributes: the names of all, for CSV's header."""
    return _write_csv(stream, attributes) if format == "csv" else _write_json_lines(stream)


def _write_json_lines(stream: TextIO) -> WriteLine:
    """An object a line."""

    def write(seen: Observation) -> None:
        print(json.dumps(to_watch_record(seen), allow_nan=False), file=stream, flush=True)

    return write


def _write_csv(stream: TextIO, attributes: Sequence[str]) -> WriteLine:
    """A row a line, with a column for each attribute."""
    writer = csv.DictWriter(stream, list_watch_columns(attributes), lineterminator="\n")
    writer.writeheader()
    stream.flush()

    def write(seen: Observation) -> None:
        writer.writerow(flatten(to_watch_record(seen)))
        stream.flush()

    return write
