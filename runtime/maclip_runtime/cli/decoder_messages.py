"""What decoders would print to the terminal goes to the log: Python's warnings, and libtiff's own lines."""

from __future__ import annotations

import ctypes
import logging
from typing import Any

from PIL import _imaging

logger: logging.Logger = logging.getLogger(__name__)

# libtiff's `void handler(const char *module, const char *format, va_list arguments)`; a va_list is passed
# as a pointer on x86-64 and aarch64.
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_LONGEST = 1000


def _log_line(module: bytes | None, text: bytes, arguments: Any) -> None:
    line = ctypes.create_string_buffer(_LONGEST)
    ctypes.CDLL(None).vsnprintf(line, _LONGEST, text, ctypes.c_void_p(arguments))
    where = (module or b"libtiff").decode(errors="replace")
    logger.info("%s: %s", where, line.value.decode(errors="replace"))


_handler = _Handler(_log_line)  # must live as long as libtiff may call it


def log_decoder_messages() -> None:
    """Have this process log what Pillow warns of and what libtiff says; for programs, not for libraries."""
    logging.captureWarnings(True)
    try:
        pillow = ctypes.CDLL(_imaging.__file__)  # finds the symbols of the libtiff that it links to
        for name in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):
            set_handler = getattr(pillow, name)
            set_handler.restype, set_handler.argtypes = ctypes.c_void_p, [_Handler]
            set_handler(_handler)
    except (OSError, AttributeError) as error:  # a Pillow without libtiff, or one that hides it
        logger.debug("libtiff's messages stay where they are: %s", error)
