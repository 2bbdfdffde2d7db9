"""Locks between processes, held by the kernel: no lock outlives its process, so none is ever stale."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger: logging.Logger = logging.getLogger(__name__)

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def lock_file(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold a file, made for it if need be; yields a descriptor to read and write it.

    Whoever holds it may remove it. On NFS, Linux makes a lock on the server of it, which other machines
    respect. Where a file system has no locks, that is logged, and none is held. Raises OSError where the
    file cannot be made, BlockingIOError where `wait` is False and another process holds it.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                logger.warning("%s: this file system has no locks", path)
            if is_there(descriptor, path):  # or its last holder has removed it
                yield descriptor
                return
        finally:
            os.close(descriptor)


def is_there(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
