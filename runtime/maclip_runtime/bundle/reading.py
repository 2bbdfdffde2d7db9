"""Reading a bundle's files: regular ones only, never more of them than was said to be there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from maclip_runtime.errors import BundleError


def read_regular_file(path: Path, *, most: int) -> bytes:
    """A file's bytes; BundleError if it is no regular file or larger than `most`.

    A FIFO would never end and a device never stop, so nothing is read before it is known to be neither.
    Raises OSError where it cannot be read, FileNotFoundError where it is not there.
    """
    # Without O_NONBLOCK a FIFO that nobody writes to would hold up the opening itself.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{path}: not a regular file", "do not use this bundle")
        if status.st_size > most:
            raise BundleError(
                f"{path}: {status.st_size} bytes, more than the {most} it may have",
                "copy or export the bundle again",
            )
        data = stream.read(most + 1)  # it may have grown since
    if len(data) > most:
        raise BundleError(f"{path}: grows while it is read", "wait until it is written")
    return data
