"""Results as CSV, a row as each comes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

from maclip_runtime.errors import PictureError
from maclip_runtime.results.record import flatten, list_columns, to_record
from maclip_runtime.results.score import Score


def write_csv(
    results: Iterable[Score | PictureError], stream: TextIO, attributes: Sequence[str]
) -> None:
    """Write a header and a row per result; a picture that failed has only `path` and `error`."""
    writer = csv.DictWriter(stream, list_columns(attributes), lineterminator="\n")
    writer.writeheader()
    for result in results:
        writer.writerow(flatten(to_record(result)))
        stream.flush()
