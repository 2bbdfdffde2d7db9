"""Results as CSV, a row as each comes."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from maclip_runtime.errors import PictureError
from maclip_runtime.results.record import COLUMNS, to_record
from maclip_runtime.results.score import Score


def write_csv(results: Iterable[Score | PictureError], stream: TextIO) -> None:
    """Write a header and a row per result; a picture that failed has only `path` and `error`."""
    writer = csv.DictWriter(stream, (*COLUMNS, "error"), lineterminator="\n")
    writer.writeheader()
    for result in results:
        writer.writerow(to_record(result))
        stream.flush()
