"""Results as JSON: a list when all are there, or a line each as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TextIO

from maclip_runtime.results.record import Record


def write_json(records: Iterable[Record], stream: TextIO, attributes: Sequence[str]) -> None:
    """Write a list with an object per record."""
    json.dump(list(records), stream, indent=1, allow_nan=False)
    stream.write("\n")


def write_json_lines(records: Iterable[Record], stream: TextIO, attributes: Sequence[str]) -> None:
    """Write an object per line, each as soon as there is a record."""
    for record in records:
        print(json.dumps(record, allow_nan=False), file=stream, flush=True)
