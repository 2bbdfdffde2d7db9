"""Results as Parquet: a row a picture, columns as in CSV, the settings in the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import IO, Any

from maclip_runtime.results.record import Record, flatten, list_columns

METADATA = b"maclip"  # the key of what is written beside the rows, a JSON object
_ROWS = 10_000  # held at a time, and a row group

_TEXTS = ("path", "preset", "engine", "precision", "view_mode", "bundle", "error")
_NUMBERS = ("views", "width", "height")


def write_parquet(
    records: Iterable[Record],
    stream: IO[bytes],
    attributes: Sequence[str],
    about: Mapping[str, object],
) -> None:
    """Write a row per record; figures are float64, those of a picture that failed are null.

    about: kept in the metadata, under `maclip`.
    """
    import pyarrow
    import pyarrow.parquet

    types = {
        **dict.fromkeys(_TEXTS, pyarrow.string()),
        **dict.fromkeys(_NUMBERS, pyarrow.int32()),
        "enlarged": pyarrow.bool_(),
    }
    columns = list_columns(attributes)
    schema = pyarrow.schema(
        [(name, types.get(name, pyarrow.float64())) for name in columns],
        metadata={METADATA: json.dumps(about).encode()},
    )
    rows = map(flatten, records)
    with pyarrow.parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        while some := list(islice(rows, _ROWS)):
            batch = {name: [row.get(name) for row in some] for name in columns}
            writer.write_table(pyarrow.table(batch, schema=schema))


def read_about(path: Any) -> dict[str, Any]:
    """What a file's metadata says beside its rows. Raises OSError, ValueError and KeyError."""
    import pyarrow.parquet

    metadata = pyarrow.parquet.read_schema(path).metadata or {}
    about = json.loads(metadata[METADATA])
    if not isinstance(about, dict):
        raise ValueError("not an object")
    return about
