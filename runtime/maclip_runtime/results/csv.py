"""Results as CSV, a row as each comes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TextIO

from maclip_runtime.results.record import Record, Value, flatten, list_columns

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet calculates


def write_csv(records: Iterable[Record], stream: TextIO, attributes: Sequence[str]) -> None:
    """Write a header and a row per record; a picture that failed has only `path` and `error`.

    A file name that a spreadsheet would take for a formula has `./` before it, which names the same file.
    """
    row = io.StringIO(newline="")
    # Python before 3.13 quotes only those line ends that the writer itself makes.
    writer = csv.DictWriter(row, list_columns(attributes), lineterminator="\r\n")
    writer.writeheader()
    _move(row, stream)
    for record in records:
        cells = flatten(record)
        writer.writerow({name: _disarm(value) for name, value in cells.items()})
        _move(row, stream)


def _move(row: io.StringIO, stream: TextIO) -> None:
    stream.write(row.getvalue().removesuffix("\r\n") + "\n")
    stream.flush()
    row.seek(0)
    row.truncate()


def _disarm(value: Value) -> Value:
    if isinstance(value, str) and len(value) > 1 and value.startswith(_FORMULA):
        return f"./{value}"
    return value
