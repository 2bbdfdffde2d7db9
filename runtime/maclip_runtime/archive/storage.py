"""Where pictures lie: this machine's files, or a bucket by its URL, through pyarrow's file systems."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, NamedTuple

from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.sources.pictures import MAX_FILE_BYTES

_SCHEMES = ("s3://", "gs://")


class Entry(NamedTuple):
    """What a folder holds: its location, and whether it is a folder itself."""

    location: str
    folder: bool


def import_pyarrow() -> Any:
    """The module pyarrow, its file systems and Parquet loaded; UsageError if it is not installed."""
    try:
        import pyarrow
        import pyarrow.fs
        import pyarrow.parquet
    except ImportError:
        raise UsageError(
            "archives need pyarrow and Ray", "pip install 'maclip-edge[ray]'"
        ) from None
    return pyarrow


def is_remote(location: str) -> bool:
    """Whether a location is a bucket's, not this machine's."""
    return location.startswith(_SCHEMES)


def resolve(location: str) -> str:
    """A location that means the same in every process: local paths made absolute.

    UsageError for a scheme that is not known, or where a URL holds a password.
    """
    scheme, found, rest = location.partition("://")
    if not found:
        return os.path.abspath(location)  # noqa: PTH100  `Path.absolute` keeps `..`
    if f"{scheme}://" not in _SCHEMES:
        raise UsageError(f"{scheme}://: not a storage that can be read", "use s3:// or gs://")
    if "@" in rest.partition("/")[0]:
        raise UsageError(
            f"{scheme}://...@: a password does not belong into a URL, which is written down",
            "give it in the environment, as the cloud's own tools take it",
        )
    return location.rstrip("/")


def find_kind(location: str) -> str:
    """`file`, `folder` or `missing`. Raises OSError where the storage does not answer."""
    system, path = _open_system(location)
    kind = system.get_file_info(path).type.name
    return {"File": "file", "Directory": "folder", "NotFound": "missing"}.get(kind, "file")


def list_folder(location: str) -> list[Entry]:
    """What a folder holds, sorted, hidden names left out; links to folders are left out too.

    Raises OSError where it cannot be listed. Names that are no UTF-8 hold lone surrogates.
    """
    if not is_remote(location):
        with os.scandir(location) as entries:
            found = [
                Entry(entry.path, entry.is_dir(follow_symlinks=False))
                for entry in entries
                if not entry.name.startswith(".") and not (entry.is_symlink() and entry.is_dir())
            ]
        return sorted(found)
    from pyarrow.fs import FileSelector

    system, path = _open_system(location)
    scheme = location.partition("://")[0]
    return sorted(
        Entry(f"{scheme}://{info.path}", info.type.name == "Directory")
        for info in system.get_file_info(FileSelector(path))
        if not info.base_name.startswith(".")
    )


def open_file(location: str) -> Any:
    """A file to read anywhere in, as pyarrow opens it. Raises OSError."""
    system, path = _open_system(location)
    return system.open_input_file(path)


def open_stream(location: str) -> Any:
    """A file to read from its beginning to its end. Raises OSError."""
    system, path = _open_system(location)
    return system.open_input_stream(path, buffer_size=1 << 20)


def read_picture(location: str) -> bytes:
    """The bytes of a picture; PictureError if they cannot be read, or are too many."""
    try:
        with open_file(location) as file:
            if file.size() > MAX_FILE_BYTES:
                raise PictureError(
                    location, f"a file of more than {MAX_FILE_BYTES // 1_000_000} MB"
                )
            return bytes(file.read())
    except OSError as error:
        raise PictureError(location, describe(error)) from None


def as_utf8(name: str) -> str:
    """A file's name as Parquet can hold it: bytes that are no UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def describe(error: Exception) -> str:
    """What a storage said, in one line."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    told = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"cannot be read: {' '.join(told.split())}"


def _open_system(location: str) -> tuple[Any, str]:
    """The file system of a location, and the path in it."""
    scheme, found, rest = location.partition("://")
    if not found:
        return _connect("file", ""), location
    return _connect(scheme, rest.partition("/")[0]), rest


@lru_cache(maxsize=64)
def _connect(scheme: str, bucket: str) -> Any:
    """The file system of a bucket. Credentials and region are found as pyarrow does."""
    fs = import_pyarrow().fs
    if scheme == "file":
        return fs.LocalFileSystem()
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if scheme == "s3" and endpoint:  # which pyarrow does not look at by itself
        kind, _, host = endpoint.partition("://")
        return fs.S3FileSystem(endpoint_override=host.rstrip("/"), scheme=kind)
    return fs.FileSystem.from_uri(f"{scheme}://{bucket}")[0]
