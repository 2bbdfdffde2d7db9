"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def open_whole(path: Path, mode: str = "wb") -> Iterator[IO[bytes] | IO[str]]:
    """A file to write that takes its place at `path` when the block ends without an error.

    mode: "wb" for bytes, "w" for UTF-8 text with line ends as written. It is staged beside `path`, where
    the rename is atomic. After an error nothing is left of it, and what was at `path` is as it was. Raises
    OSError where the folder cannot be written.
    """
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    text = {"encoding": "utf-8", "newline": ""} if "b" not in mode else {}
    try:
        with os.fdopen(handle, mode, **text) as stream:  # type: ignore[call-overload]
            yield stream
        Path(partial).chmod(_find_mode(path))
        Path(partial).replace(path)
    finally:
        Path(partial).unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file at once; see `open_whole`."""
    with open_whole(path) as stream:
        stream.write(data)  # type: ignore[arg-type]


def _find_mode(path: Path) -> int:
    """The permissions of the file that is there, or those that the umask gives a new one."""
    try:
        return path.stat().st_mode & 0o7777
    except OSError:
        umask = os.umask(0o077)
        os.umask(umask)
        return 0o666 & ~umask
