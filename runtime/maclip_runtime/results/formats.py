"""The formats that results are written in: a new one is a module beside this and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Literal, TextIO

from maclip_runtime.errors import PictureError
from maclip_runtime.results.record import Record, to_record
from maclip_runtime.results.score import Score

Format = Literal["table", "json", "jsonl", "csv"]

# Module and function; imported when asked for, since the table needs the command line's packages.
_WRITERS: dict[Format, tuple[str, str]] = {
    "table": ("table", "write_table"),
    "json": ("json", "write_json"),
    "jsonl": ("json", "write_json_lines"),
    "csv": ("csv", "write_csv"),
}


def write_results(
    results: Iterable[Score | PictureError | Record],
    format: Format,
    stream: TextIO,
    attributes: Sequence[str],
) -> None:
    """Write results to `stream`; JSON lines and CSV as each comes, the others at the end.

    Results may also come as the records that were kept of them. attributes: the bundle's, by name: CSV
    needs them before the first result.
    """
    module, function = _WRITERS[format]
    write: Callable[[Iterable[Record], TextIO, Sequence[str]], None]
    write = getattr(import_module(f"maclip_runtime.results.{module}"), function)
    records = (each if isinstance(each, dict) else to_record(each) for each in results)
    write(records, stream, attributes)
