"""What an input holds: a folder, a list, a tar, a Parquet file, or a bucket's prefix, as references."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from maclip_runtime.archive.storage import (
    Entry,
    as_utf8,
    describe,
    find_kind,
    import_pyarrow,
    list_folder,
    open_file,
    resolve,
)
from maclip_runtime.archive.units import Reference, is_picture
from maclip_runtime.errors import Remedy, UsageError

_LISTS = (".txt", ".lst")
_COLUMNS = ("image", "bytes", "picture", "path")  # the first of these that a Parquet file has


def take_inventory(location: str, column: str | None = None) -> Iterator[Reference]:
    """The pictures of an input, in an order that does not change, without holding them all.

    location: a folder or a bucket's prefix, with whatever pictures, tars and Parquet files are anywhere in
    it; one such file; or a list (.txt, .lst) of them, a line each, relative to the working directory.
    column: of Parquet files, with pictures' bytes or paths. UsageError for an input that is missing, or
    cannot be read at all; what cannot be read in it is a reference with an error.
    """
    location = resolve(location)
    try:
        kind = find_kind(location)
        if kind == "missing":
            raise UsageError(f"{location}: no such folder or file")
        if kind == "folder":
            yield from _walk(list_folder(location), column)
        elif location.endswith(_LISTS):
            yield from _read_list(location, column)
        elif _is_archive(location):
            yield from _expand(location, column)
        else:
            raise UsageError(
                f"{location}: not a folder, a list (.txt), a .tar or a .parquet file",
                "for single pictures use maclip score",
            )
    except OSError as error:
        raise UsageError(f"{location}: {describe(error)}") from None


def _walk(entries: list[Entry], column: str | None) -> Iterator[Reference]:
    for entry in entries:
        if entry.folder:
            try:
                within = list_folder(entry.location)
            except OSError as error:
                reason = describe(error).replace("read", "listed")
                yield Reference("picture", as_utf8(entry.location), error=reason)
            else:
                yield from _walk(within, column)
        elif is_picture(entry.location) or _is_archive(entry.location):
            yield from _expand(entry.location, column)


def _read_list(location: str, column: str | None) -> Iterator[Reference]:
    with open_file(location) as stream:
        rest = b""
        while block := stream.read(1 << 20):
            *lines, rest = (rest + bytes(block)).split(b"\n")
            yield from _read_lines(lines, column)
        yield from _read_lines([rest], column)


def _read_lines(lines: list[bytes], column: str | None) -> Iterator[Reference]:
    for line in lines:
        name = line.decode("utf-8", "surrogateescape").removesuffix("\r")
        if name.strip():
            yield from _follow(name, column)


def _follow(name: str, column: str | None) -> Iterator[Reference]:
    """What a line of a list names."""
    reference = _refer(name)
    if reference.error is None:
        yield from _expand(reference.file, column)
    else:
        yield reference


def _refer(path: str) -> Reference:
    """A path that was written down, as a picture."""
    try:
        return Reference("picture", resolve(path))
    except UsageError as error:
        return Reference("picture", as_utf8(path), error=str(error))


def _expand(file: str, column: str | None) -> Iterator[Reference]:
    """The references of a file: itself, where it is a picture."""
    if file != as_utf8(file):
        error = "a name that is not UTF-8 cannot be written to Parquet; rename it"
        yield Reference("picture", as_utf8(file), error=error)
    elif file.endswith(".tar"):
        yield Reference("tar", file, pictures=0)
    elif file.endswith(".parquet"):
        try:
            yield from _expand_parquet(file, column)
        except (OSError, import_pyarrow().ArrowException) as error:
            yield Reference("picture", file, error=describe(error))
    else:
        yield Reference("picture", file)


def _expand_parquet(file: str, column: str | None) -> Iterator[Reference]:
    """Row groups of pictures' bytes; paths are pictures by themselves."""
    pyarrow = import_pyarrow()
    with open_file(file) as stream:
        opened = pyarrow.parquet.ParquetFile(stream)
        field = _choose_column(file, opened.schema_arrow, column)
        if not pyarrow.types.is_string(field.type) and not pyarrow.types.is_large_string(
            field.type
        ):
            row = 0
            for number in range(opened.num_row_groups):
                rows = opened.metadata.row_group(number).num_rows
                if rows:
                    yield Reference(
                        "rows", file, rows, column=field.name, row_group=number, first_row=row
                    )
                row += rows
            return
        row = 0
        for batch in opened.iter_batches(10_000, columns=[field.name]):
            for path in batch.column(0).to_pylist():
                if path:
                    yield _refer(path)
                else:
                    yield Reference("picture", f"{file}#{row}", error="has no path")
                row += 1


def _choose_column(file: str, schema: Any, wanted: str | None) -> Any:
    """The column of pictures: the one asked for, one with a common name, or the only one of bytes."""
    types = import_pyarrow().types
    binary = [
        field.name
        for field in schema
        if types.is_binary(field.type)
        or types.is_large_binary(field.type)
        or (types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0)
    ]
    usable = [
        *binary,
        *(f.name for f in schema if types.is_string(f.type) or types.is_large_string(f.type)),
    ]
    named = [wanted] if wanted is not None else [name for name in _COLUMNS if name in usable]
    for name in named or (binary if len(binary) == 1 else []):
        if name in usable:
            return schema.field(name)
    raise UsageError(
        f"{file}: which column has the pictures is not clear; it has {', '.join(schema.names)}"
        if wanted is None
        else f"{file}: has no column {wanted} of bytes or text, but {', '.join(schema.names)}",
        Remedy("name it with {column}", settings={"column": None}),
    )


def count_members(location: str) -> int:
    """Pictures in a tar, by its headers alone; 0 if it cannot be read."""
    try:
        with open_file(location) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            return sum(member.isfile() and is_picture(member.name) for member in tar)
    except (OSError, tarfile.TarError):
        return 0


def _is_archive(name: str) -> bool:
    return name.endswith((".tar", ".parquet")) and not PurePosixPath(name).name.startswith(".")
