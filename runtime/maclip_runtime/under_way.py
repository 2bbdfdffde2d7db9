"""Pictures under way: decoded by several threads, given to the engine in order, bounded in memory."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from maclip_runtime.engines.engine import Engine, Pending
from maclip_runtime.errors import FrameError, PictureError
from maclip_runtime.method.pixels import Floats
from maclip_runtime.sources.pictures import DECODING_BYTES
from maclip_runtime.sources.preparation import PreparedFrame

_MOST_DECODERS = 4  # of about 50 JPEGs of 1080p a second each
_LARGE = DECODING_BYTES // 8  # 14 megapixels


def count_decoders(engine: Engine) -> int:
    """Threads that decode beside an engine: one where it computes on the CPU itself, on all cores."""
    if engine.device is None:
        return 1
    return min(_MOST_DECODERS, len(os.sched_getaffinity(0)))


@dataclass(frozen=True, eq=False)
class Job:
    """A picture under way: decoded and given to the engine, or about to be.

    claimed: the bytes that it will take at most until the engine has it; known before it is decoded.
    """

    path: str
    submitted: Future[tuple[PreparedFrame, Pending]]
    claimed: Future[int] = field(default_factory=Future)

    def result(self) -> tuple[PreparedFrame, Floats]:
        """The frame and its features `[V, D]`; PictureError if the picture or its frame can't be scored."""
        with naming(self.path):
            prepared, pending = self.submitted.result()
            return prepared, pending.result()

    def done(self) -> bool:
        """Whether `result` would not wait."""
        if not self.submitted.done():
            return False
        if self.submitted.cancelled() or self.submitted.exception() is not None:
            return True
        return self.submitted.result()[1].done()

    def cancel(self) -> None:
        """Leave the picture unread if it still is."""
        self.submitted.cancel()

    def count_bytes(self) -> int:
        """Bytes that it holds or will, at most; waits until that is known."""
        known: tuple[Future[Any], ...] = (self.claimed, self.submitted)
        wait(known, return_when=FIRST_COMPLETED)
        if not self.submitted.done():
            return self.claimed.result()
        return 0 if self.done() else self.submitted.result()[0].frame.size


def make_room(before: Sequence[Job], claimed: Future[int], wanted: int) -> None:
    """Claim memory for a picture, and wait until those before it have left it that much.

    Each waits only for those before it, all of which a thread has taken up already, and the engine needs
    nobody to finish them: this ends even if the caller has stopped taking results.
    """
    claimed.set_result(wanted)
    for job in before:
        if wanted + sum(other.count_bytes() for other in before) <= DECODING_BYTES:
            break
        with suppress(Exception):  # which its own result tells
            job.result()
    if wanted > _LARGE:
        _return_freed_memory()


def _return_freed_memory() -> None:
    """Give back what was freed: glibc keeps for each thread what a picture that it decoded took."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none, and keeps nothing
    if trim is not None:
        trim(ctypes.c_size_t(0))


def wait_for_turn(before: Sequence[Job]) -> None:
    """Wait until all pictures before were given to the engine, or have failed."""
    wait([job.submitted for job in before])


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Turn an engine's refusal of a frame into the error of its picture."""
    try:
        yield
    except FrameError as error:
        raise PictureError(path, error.cause, error.remedy) from None


def fail(error: PictureError) -> Future[tuple[PreparedFrame, Pending]]:
    """What a picture that cannot be read is submitted as."""
    failed: Future[tuple[PreparedFrame, Pending]] = Future()
    failed.set_exception(error)
    return failed
