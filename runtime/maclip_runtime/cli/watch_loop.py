"""Running a watcher for the command line: its messages, its end, and its exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from maclip_runtime.cli.console import tell
from maclip_runtime.cli.scoring import describe_settings
from maclip_runtime.errors import MaclipError, UsageError
from maclip_runtime.results.record import to_watch_record
from maclip_runtime.scorer import Scorer
from maclip_runtime.stream.status import Observation
from maclip_runtime.stream.watcher import Remark, Watcher

if TYPE_CHECKING:
    from maclip_runtime.report.stream import StreamReport


def run_watcher(watcher: Watcher, takers: Sequence[Callable[[Observation], None]]) -> int:
    """Watch to the end, or until the user ends it: the exit status."""
    with _end_on_signals(watcher) as received:
        try:
            for seen in watcher:
                if isinstance(seen, MaclipError):
                    tell(seen)
                elif isinstance(seen, Remark):
                    tell(f"{seen.source}: {seen.message}")
                else:
                    for take in takers:
                        take(seen)
        except BrokenPipeError:  # whoever read the lines has had enough, as after `| head`
            received.append(signal.SIGPIPE)
            _discard_stdout()
        except OSError as error:
            tell(f"the lines cannot be written ({error.strerror}); those before are there")
            _discard_stdout()
            return 1
    if received and not watcher.live:  # a batch that is not done
        return 128 + received[0]
    return int(any(status.error is not None for status in watcher.statuses))


@contextmanager
def _end_on_signals(watcher: Watcher) -> Iterator[list[int]]:
    """End cleanly at the first SIGINT or SIGTERM, which is given; a second one kills."""
    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        watcher.stop()

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def open_lines(output: Path | None) -> Iterator[TextIO]:
    """Where the lines go: stdout, or a file that has each of them as soon as it is written."""
    if output is None:
        yield sys.stdout
        return
    try:
        stream = output.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{output}: cannot be written ({error.strerror})") from None
    try:
        yield stream
    finally:
        with suppress(OSError):  # a full disk, which was said; closing tries once more
            stream.close()


class ReportTaker:
    """Collects what is seen for the report of streams."""

    def __init__(self, report: StreamReport) -> None:
        self._report = report

    def note(self, seen: Observation) -> None:
        """Take in an observation; one before a source's first frame has no place in time."""
        if seen.time is not None:
            self._report.add(to_watch_record(seen), seen.pixels)

    def write(self, path: Path) -> None:
        """Write the page."""
        self._report.write(path)


def open_report(scorer: Scorer) -> ReportTaker:
    """The report of streams, empty; UsageError where its library is missing."""
    from maclip_runtime.report.stream import StreamReport

    return ReportTaker(StreamReport(describe_settings(scorer)))


def _discard_stdout() -> None:
    """Keep Python from writing to what cannot be written any more when it ends."""
    with open(os.devnull, "w") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 1)
