"""Filling an archive: shard by shard, whatever happens to the workers, every picture exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

from maclip_runtime.archive.plan import FOLDER, Plan
from maclip_runtime.archive.scoring import Scored
from maclip_runtime.archive.units import Unit
from maclip_runtime.archive.workers import Crew, Workers, WorkersLostError
from maclip_runtime.errors import EngineError, OutputError
from maclip_runtime.files import open_whole
from maclip_runtime.locks import lock_file
from maclip_runtime.results.journal import Journal, open_journal
from maclip_runtime.results.parquet import read_about, write_parquet
from maclip_runtime.results.record import Record

_ATTEMPTS = 3  # without a single result; and for a picture that workers die of

Note = Callable[[str], None]


@dataclass(frozen=True)
class Summary:
    """What is in an archive: its pictures, and how many of them have an error."""

    pictures: int = 0
    failed: int = 0

    def __add__(self, other: Summary) -> Summary:
        return Summary(self.pictures + other.pictures, self.failed + other.failed)


@contextmanager
def hold_archive(directory: Path) -> Iterator[None]:
    """Keep other processes from writing to an archive, whose directory is made. Raises OutputError.

    If nothing was written in it, the directory goes.
    """
    folder = directory / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            held.enter_context(lock_file(folder / "lock", wait=False))
            held.callback((folder / "lock").unlink, missing_ok=True)
            yield
    except BlockingIOError:
        raise OutputError(
            f"{directory}: another process is writing it", "wait for its end"
        ) from None
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise OutputError(f"{directory}: cannot be written ({error.strerror})") from None
    finally:
        for made in (folder, directory):
            with suppress(OSError):  # it is not empty
                made.rmdir()


def fill(plan: Plan, workers: Workers, crew: Crew, *, advance: Note, tell: Note) -> None:
    """Score every shard that has no file yet.

    advance: called with the name of every picture, those of finished shards left out. tell: called with
    what is to be said. Raises EngineError if workers give no result any more, and OutputError: what was
    scored is kept beside the plan, and the next run goes on there.
    """
    for shard in plan.list_unfinished():
        _fill_shard(plan, shard, workers, crew, advance, tell)


def summarise(plan: Plan) -> Summary:
    """What is in the shards that are finished."""
    finished = set(range(plan.shards)) - set(plan.list_unfinished())
    return sum((_read_summary(plan, shard) for shard in finished), Summary())


def _fill_shard(
    plan: Plan, shard: int, workers: Workers, crew: Crew, advance: Note, tell: Note
) -> None:
    """Score a shard into its journal, and write its file when all of it is there."""
    units = plan.read_units(shard)
    with open_journal(plan.find_journal(shard), plan.settings, resume=True) as journal:
        summary = _score_units(units, workers, journal, advance, tell)
        output = plan.find_output(shard)
        about = {
            "shard": shard,
            "pictures": summary.pictures,
            "failed": summary.failed,
            "settings": dict(plan.settings),
        }
        with open_whole(output) as stream:
            write_parquet(journal.records(), cast(IO[bytes], stream), crew.attributes, about)


def _score_units(
    units: Sequence[Unit], workers: Workers, journal: Journal, advance: Note, tell: Note
) -> Summary:
    """Have every unit scored to its end, whoever dies meanwhile.

    Results of a unit come in order, so their number says where to go on, and what comes twice is known.
    """
    done: Counter[int] = Counter()
    failed = 0
    for record in journal.records():
        done[cast(int, record["unit"])] += 1
        failed += "error" in record
        advance(str(record["path"]))
    # A tar's end is known from whoever has read it.
    ended = {u.number for u in units if u.pictures is not None and done[u.number] == u.pictures}
    deaths: Counter[tuple[int, int]] = Counter()  # by unit and by how many of it were done
    in_vain = 0
    while len(ended) < len(units):
        before = done.total() + len(ended)
        rest = [
            replace(
                unit,
                skip=done[unit.number],
                careful=deaths[unit.number, done[unit.number]] > 0,
                condemned=deaths[unit.number, done[unit.number]] >= _ATTEMPTS,
            )
            for unit in units
            if unit.number not in ended
        ]
        lost: WorkersLostError | None = None
        try:
            for scored in workers.score(rest):
                for record in _take_new(scored, done):
                    journal.add({"unit": scored.unit, **record})
                    failed += "error" in record
                    advance(str(record["path"]))
                if scored.total is not None and scored.total == done[scored.unit]:
                    ended.add(scored.unit)
        except WorkersLostError as error:
            lost = error
            tell(f"{error}; what is left is given to others")
        else:
            for unit in rest:
                if unit.number not in ended:
                    deaths[unit.number, done[unit.number]] += 1
        in_vain = 0 if done.total() + len(ended) > before else in_vain + 1
        if in_vain > _ATTEMPTS:
            raise lost or EngineError("every worker dies before it has a result")
    return Summary(done.total(), failed)


def _take_new(scored: Scored, done: Counter[int]) -> list[Record]:
    """The results that are not there yet, and count them; none if some before them are missing."""
    known = done[scored.unit] - scored.first
    if known < 0:
        return []
    new = scored.records[known:]
    done[scored.unit] += len(new)
    return new


def _read_summary(plan: Plan, shard: int) -> Summary:
    path = plan.find_output(shard)
    try:
        about = read_about(path)
        return Summary(int(about["pictures"]), int(about["failed"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{path}: not a shard of this archive ({error})", "delete it and go on"
        ) from None
