"""Running the application: whatever ends it becomes at most one line and an exit status."""

from __future__ import annotations

import logging
import os
import signal
import sys

from maclip_runtime.cli.app import build_app
from maclip_runtime.cli.console import prepare_streams, tell
from maclip_runtime.errors import MaclipError
from maclip_runtime.signals import Interrupted, raise_on_signals

logger: logging.Logger = logging.getLogger(__name__)

WRONG_USAGE = 2
DEFECT = 70  # EX_SOFTWARE of sysexits.h
NO_READER = 128 + signal.SIGPIPE  # as of the many programs that the signal ends


def run() -> int:
    """Run the command that the arguments name; returns the exit status."""
    prepare_streams()
    raise_on_signals()
    try:
        status = build_app()(prog_name="maclip", standalone_mode=False)
        sys.stdout.flush()
    except MaclipError as error:
        tell(error)
        return WRONG_USAGE
    except Interrupted as error:
        tell(f"ended by {error}")
        return error.status
    except BrokenPipeError:
        return _leave_stdout(NO_READER)
    except OSError as error:
        logger.info("what failed", exc_info=True)
        tell(f"{error.filename or 'stdout'}: {error.strerror or error}")
        return _leave_stdout(WRONG_USAGE)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # click's own way with it
            return _leave_stdout(NO_READER)
        raise
    except Exception as error:  # noqa: BLE001  whatever is left
        return _explain(error)
    return status if isinstance(status, int) else 0


def _explain(error: Exception) -> int:
    """Say what ended the command: wrong arguments, or a defect."""
    if hasattr(error, "format_message"):  # click's; Typer brings a copy of its classes, or not
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
            return WRONG_USAGE
        context = getattr(error, "ctx", None)
        command = getattr(context, "command_path", "maclip")
        said = " ".join(error.format_message().split()).rstrip(".")
        tell(f"{said}; see {command} --help")
        return WRONG_USAGE
    logger.info("the defect", exc_info=True)
    reason = " ".join(str(error).split())
    tell(
        f"a defect of maclip, please report it: {type(error).__name__}: {reason}; "
        "maclip --verbose COMMAND ... shows where"
    )
    return DEFECT


def _leave_stdout(status: int) -> int:
    """Let nothing be written to stdout any more, as Python would try at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return status
