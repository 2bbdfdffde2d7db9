"""TensorRT-RTX's compiled kernels, kept beside the plan so that the next process need not compile again.

The library checks that they are of its version and of this GPU, driver and system, and takes no others.
What it cannot check is who wrote them: no manifest names this file.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Any

from maclip_runtime.errors import OutputError
from maclip_runtime.files import write_whole

logger = logging.getLogger(__name__)

_LARGEST = 1 << 30  # bytes; more is no cache of ours


class KernelCache:
    """The kernels of one plan, in the file `path`; not kept where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path: Path | None = path
        self._cache: Any = None
        self._saved = b""

    def load(self, config: Any) -> None:
        """Give a context's configuration the kernels that were kept, and take in what it compiles."""
        # The library has it from its first version on; the plan runs without it all the same.
        if self._path is None or not hasattr(config, "create_runtime_cache"):
            return
        self._cache = config.create_runtime_cache()
        kept = self._read(self._path)
        if kept and self._cache.deserialize(kept):
            self._saved = kept
        config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Keep the kernels compiled so far, if there are new ones; where that fails it is only logged."""
        if self._cache is None or self._path is None:
            return
        compiled = bytes(self._cache.serialize())
        if compiled == self._saved:
            return
        try:
            write_whole(self._path, compiled)
        except OutputError as error:
            logger.info("compiled kernels are not kept: %s", error)
            self._path = None
        else:
            self._saved = compiled

    @staticmethod
    def _read(path: Path) -> bytes:
        """The bytes of a file that nobody but this user or root can have written; otherwise none."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return b""
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            own = status.st_uid in (0, os.geteuid()) and not status.st_mode & (
                stat.S_IWGRP | stat.S_IWOTH
            )
            if not (stat.S_ISREG(status.st_mode) and own and status.st_size <= _LARGEST):
                logger.info("%s: not taken, others could have written it", path)
                return b""
            return stream.read(_LARGEST)
