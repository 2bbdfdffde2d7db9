"""What a run has scored so far, safe from the run's end: a line a result, beside the output.

`scores.csv.partial` is JSON lines, whatever the format of `scores.csv`. The first line has the settings
that the scores depend on; each of the others is a record.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from maclip_runtime.errors import OutputError, Remedy, UsageError
from maclip_runtime.locks import lock_file
from maclip_runtime.results.record import Record

SUFFIX = ".partial"
Settings = Mapping[str, object]


class Journal:
    """The records of a run, from this process and from those before it that were interrupted.

    `done`: how often each path has a record.
    """

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self.path = path
        self.done: Counter[str] = Counter()
        self._stream = stream

    def add(self, record: Record) -> None:
        """Keep a record; it outlives this process when this returns. Raises OutputError."""
        self._write(record)
        self._note(record)

    def records(self) -> Iterator[Record]:
        """Every record, in the order in which they were added."""
        self._stream.seek(0)
        next(self._stream)
        for line in self._stream:
            yield json.loads(line)

    def begin(self, settings: Settings, *, resume: bool) -> None:
        """Read what is there, or write the settings; UsageError if it is not to be continued like this."""
        kept = self._stream.read()
        whole = kept[: kept.rfind(b"\n") + 1]  # the last line is torn where the machine was lost
        lines = whole.splitlines()
        if not lines:
            self._stream.truncate(0)
            self._write({"settings": dict(settings)})
            return
        theirs = self._read_settings(lines[0])
        delete = f"or delete {self.path}"
        if not resume and len(lines) > 1:
            raise UsageError(
                f"{self.path}: has {len(lines) - 1} results of a run that was interrupted",
                Remedy(f"go on with {{resume}}, {delete}", settings={"resume": True}),
            )
        for name, mine in settings.items():
            if theirs.get(name) != mine:
                raise UsageError(
                    f"{self.path}: was begun with {name} {theirs.get(name)!s:.16}, and this is "
                    f"{mine!s:.16}",
                    f"go on with the same settings, {delete}",
                )
        for line in lines[1:]:
            self._note(json.loads(line))
        self._stream.truncate(len(whole))

    def _read_settings(self, line: bytes) -> Settings:
        try:
            settings = json.loads(line)["settings"]
        except (ValueError, KeyError, TypeError):
            settings = None
        if not isinstance(settings, dict):
            raise UsageError(f"{self.path}: not the results of an interrupted run", "move it away")
        return settings

    def _note(self, record: Record) -> None:
        self.done[str(record["path"])] += 1

    def _write(self, line: Mapping[str, object]) -> None:
        try:
            self._stream.seek(0, os.SEEK_END)
            self._stream.write(json.dumps(line, allow_nan=False).encode() + b"\n")
            self._stream.flush()
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror})") from None


@contextmanager
def open_journal(output: Path, settings: Settings, *, resume: bool) -> Iterator[Journal]:
    """The journal of the run that writes `output`, which goes when the block ends without an error.

    After an error it stays, unless it has no record. settings: what makes a score what it is; with
    `resume` a journal of the same settings is continued, and without, one that has records is refused, as
    one is that another process is writing. Raises OutputError and UsageError.
    """
    path = output.with_name(output.name + SUFFIX)
    try:
        with (
            lock_file(path, wait=False) as descriptor,
            os.fdopen(descriptor, "r+b", closefd=False) as stream,
        ):
            journal = Journal(path, stream)
            try:
                journal.begin(settings, resume=resume)
                yield journal
            except BaseException:
                if not journal.done and _is_empty(path):
                    path.unlink(missing_ok=True)
                raise
            path.unlink(missing_ok=True)
    except BlockingIOError:
        raise OutputError(f"{path}: another process is writing it", "wait for its end") from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None


def _is_empty(path: Path) -> bool:
    """Whether a journal holds its settings at most."""
    with path.open("rb") as stream:
        return sum(1 for _, line in zip(range(2), stream, strict=False)) < 2
