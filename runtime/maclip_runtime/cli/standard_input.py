"""A picture on stdin, which `-` stands for among paths."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Sequence

from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.sources.pictures import MAX_FILE_BYTES

logger = logging.getLogger(__name__)

STDIN = "-"


class StandardInput(io.BytesIO):
    """The encoded picture that came on stdin, by the name that results have of it."""

    name = STDIN


def take_stdin(
    found: Sequence[str | PictureError],
) -> list[str | StandardInput | PictureError]:
    """Paths, with what is on stdin in the place of `-`; read to its end, or beyond what is ever decoded.

    UsageError where it cannot be a picture: at a terminal, or if `-` is there twice.
    """
    if found.count(STDIN) > 1:
        raise UsageError(f"{STDIN} is one picture, and is given {found.count(STDIN)} times")
    if STDIN in found and sys.stdin.isatty():
        raise UsageError(
            f"{STDIN} reads a picture from stdin, which is a terminal", "pipe one into it"
        )
    if STDIN in found:
        logger.info("reading a picture from stdin")
    return [
        StandardInput(sys.stdin.buffer.read(MAX_FILE_BYTES + 1)) if each == STDIN else each
        for each in found
    ]
