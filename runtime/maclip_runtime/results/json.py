"""Results as JSON: a list when all are there, or a line each as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TextIO

from maclip_runtime.errors import PictureError
from maclip_runtime.results.record import to_record
from maclip_runtime.results.score import Score


def write_json(
    results: Iterable[Score | PictureError], stream: TextIO, attributes: Sequence[str]
) -> None:
    """Write a list with an object per result."""
    json.dump([to_record(result) for result in results], stream, indent=1, allow_nan=False)
    stream.write("\n")


def write_json_lines(
    results: Iterable[Score | PictureError], stream: TextIO, attributes: Sequence[str]
) -> None:
    """Write an object per line, each as soon as there is a result."""
    for result in results:
        print(json.dumps(to_record(result), allow_nan=False), file=stream, flush=True)
