"""Signals that end a process: what was begun is brought to a good end first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the process to end. No KeyboardInterrupt: click makes an exit status of that."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def status(self) -> int:
        """The exit status by the shell's convention."""
        return 128 + self.number


def raise_on_signals() -> None:
    """Have the signals that end a process raise Interrupted, so that every `finally` is run.

    One that is ignored stays so, as under nohup.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


@dataclass
class Held:
    """Signals that wait: the number of the first that came, if one did."""

    number: int | None = None


@contextmanager
def hold_signals() -> Iterator[Held]:
    """Keep the signals that end a process until the block ends, and act on them then.

    For work that an exception anywhere would harm, and that looks at what is held by itself. The second
    signal is acted on at once. In other threads than the main one, where signals are never handled, this
    does nothing.
    """
    held = Held()
    if threading.current_thread() is not threading.main_thread():
        yield held
        return
    handlers = {number: signal.getsignal(number) for number in ENDING}

    def keep(number: int, frame: FrameType | None) -> None:
        if held.number is None:
            held.number = number
            return
        restore()
        signal.raise_signal(number)

    def restore() -> None:
        for number, handler in handlers.items():
            if handler is not None:  # None: not set from Python
                signal.signal(number, handler)

    for number, handler in handlers.items():
        if handler not in (None, signal.SIG_IGN):
            signal.signal(number, keep)
    try:
        yield held
    finally:
        restore()
        if held.number is not None:  # also after an error, which may well come of it
            signal.raise_signal(held.number)
