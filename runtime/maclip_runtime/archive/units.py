"""What is scored in one go: some pictures, a tar, or a row group of a Parquet file; and reading it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Literal

from maclip_runtime.archive.storage import (
    as_utf8,
    describe,
    import_pyarrow,
    is_remote,
    open_file,
    open_stream,
    read_picture,
)
from maclip_runtime.errors import PictureError
from maclip_runtime.lookahead import run_ahead
from maclip_runtime.sources.paths import SUFFIXES
from maclip_runtime.sources.pictures import MAX_FILE_BYTES, Picture

UNIT_PICTURES = 32  # at most: what a worker's death costs, and a task's overhead is spread over
UNITS = 64  # in a shard at least, so that there are some for every worker
_READ_AHEAD = 2  # pictures from a bucket that wait, read, for the one that is decoded
_ROWS = 8  # of a Parquet file, read at a time

Kind = Literal["picture", "tar", "rows"]
Named = tuple[str, Picture | PictureError]
"""A picture's name in the results, and the picture, or why there is none."""


@dataclass(frozen=True)
class Reference:
    """Where one picture or more are: a line of a shard's plan.

    pictures: how many; of a tar that is an estimate. error: why a picture cannot be read, known before.
    column, row_group, first_row: of a Parquet file, where the pictures' bytes are in it.
    """

    kind: Kind
    file: str
    pictures: int = 1
    error: str | None = None
    column: str | None = None
    row_group: int | None = None
    first_row: int | None = None


@dataclass(frozen=True)
class Unit:
    """References that one call scores: pictures, or one tar or row group.

    number: its place in the shard. skip: pictures of it that have their results, since results of a unit
    come in order. careful: one picture at a time, for a unit that was begun before and did not end.
    condemned: the first that is left is given up, because whatever scored it died of it.
    """

    number: int
    references: tuple[Reference, ...]
    skip: int = 0
    careful: bool = False
    condemned: bool = False

    @property
    def pictures(self) -> int | None:
        """How many pictures it has; None where that is not known before it is read."""
        counts = [each.pictures for each in self.references if each.kind != "tar"]
        return sum(counts) if counts else None


def group(references: list[Reference]) -> list[Unit]:
    """A shard's references as units, in order: neighbouring pictures together.

    The same references give the same units: a journal counts by them.
    """
    most = min(UNIT_PICTURES, max(1, len(references) // UNITS))
    groups: list[list[Reference]] = []
    for reference in references:
        last = groups[-1] if groups else []
        if last and reference.kind == last[0].kind == "picture" and len(last) < most:
            last.append(reference)
        else:
            groups.append([reference])
    return [Unit(number, tuple(each)) for number, each in enumerate(groups)]


def read_unit(unit: Unit) -> Iterator[Named]:
    """The pictures of a unit from `skip` on, the same and in the same order whenever it is read."""
    first = unit.references[0]
    if first.kind == "picture":
        return _read_pictures(unit.references[unit.skip :])
    return islice(_read_tar(first) if first.kind == "tar" else _read_rows(first), unit.skip, None)


def is_picture(name: str) -> bool:
    """Whether a name is a picture's by its suffix, and not hidden."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _read_pictures(references: tuple[Reference, ...]) -> Iterator[Named]:
    """Local files are left to the scorer; what is in a bucket is read ahead, since it takes long."""
    with ThreadPoolExecutor(_READ_AHEAD + 1, thread_name_prefix="maclip-read") as pool:

        def fetch(reference: Reference) -> Named:
            if reference.error is not None:
                return reference.file, PictureError(reference.file, reference.error)
            if not is_remote(reference.file):
                return reference.file, reference.file
            try:
                return reference.file, read_picture(reference.file)
            except PictureError as error:
                return reference.file, error

        for job in run_ahead(references, lambda each: pool.submit(fetch, each), _READ_AHEAD):
            yield job.result()


def _read_tar(reference: Reference) -> Iterator[Named]:
    """The pictures among a tar's members, from its beginning to its end without seeking.

    A tar that is damaged or cut off ends with an error under its own name.
    """
    try:
        with (
            open_stream(reference.file) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            for member in tar:
                if not member.isfile() or not is_picture(member.name):
                    continue
                name = f"{reference.file}/{as_utf8(member.name)}"
                if member.size > MAX_FILE_BYTES:
                    reason = f"a file of more than {MAX_FILE_BYTES // 1_000_000} MB"
                    yield name, PictureError(name, reason)
                    continue
                content = tar.extractfile(member)
                assert content is not None  # it is a file
                data = content.read()
                if len(data) < member.size:
                    raise tarfile.ReadError("cut off")
                yield name, data
    except (OSError, tarfile.TarError) as error:
        yield reference.file, PictureError(reference.file, describe(error))


def _read_rows(reference: Reference) -> Iterator[Named]:
    """The pictures of a row group, named `FILE#ROW`; one that cannot be read ends with an error."""
    pyarrow = import_pyarrow()
    assert reference.first_row is not None
    row = reference.first_row
    try:
        with open_file(reference.file) as stream:
            # Without a buffer the whole column of the row group would be held.
            file = pyarrow.parquet.ParquetFile(stream, buffer_size=1 << 20)
            batches = file.iter_batches(
                _ROWS, row_groups=[reference.row_group], columns=[reference.column]
            )
            for batch in batches:
                for value in batch.column(0):
                    name = f"{reference.file}#{row}"
                    data = value.as_py()
                    if isinstance(data, dict):  # Hugging Face's pictures: bytes, path
                        data = data.get("bytes")
                    yield name, data if data else PictureError(name, "has no bytes")
                    row += 1
    except (OSError, pyarrow.ArrowException) as error:
        name = f"{reference.file}#{row}"
        yield name, PictureError(name, describe(error))
