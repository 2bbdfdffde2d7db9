"""The plan of an archive: which pictures are in which shard, written down before anything is scored.

`DIR/_maclip/manifest.json` has the input, the settings and the number of shards; a Parquet file beside it
for each shard has its references. A shard is done when `DIR/shard-NNNNN.parquet` is there. So a plan is
all that a run needs to go on with, whoever scores it, and no more than a shard of it is ever in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from maclip_runtime.archive.inventory import count_members
from maclip_runtime.archive.storage import import_pyarrow, is_remote
from maclip_runtime.archive.units import Reference, Unit, group
from maclip_runtime.errors import OutputError, Remedy, UsageError
from maclip_runtime.files import open_whole, write_whole

FOLDER = "_maclip"  # Parquet's readers leave out what begins with an underscore
_MANIFEST = "manifest.json"
_SCHEMA = 1


@dataclass(frozen=True)
class Plan:
    """An archive's plan. `pictures` is an estimate where there are tars; `settings` make the scores."""

    directory: Path
    input: str
    shard_pictures: int
    shards: int
    pictures: int
    settings: Mapping[str, str]

    def find_output(self, shard: int) -> Path:
        """The Parquet file of a shard's results."""
        return self.directory / f"shard-{shard:05}.parquet"

    def find_journal(self, shard: int) -> Path:
        """What the journal of a shard is named after."""
        return self.directory / FOLDER / f"shard-{shard:05}.parquet"

    def list_unfinished(self) -> list[int]:
        """The shards that have no results yet."""
        return [n for n in range(self.shards) if not self.find_output(n).exists()]

    def read_units(self, shard: int) -> list[Unit]:
        """The units of a shard. UsageError where the plan is damaged."""
        pyarrow = import_pyarrow()
        path = _find_references(self.directory, shard)
        try:
            rows = pyarrow.parquet.read_table(path, memory_map=False).to_pylist()
            return group([Reference(**row) for row in rows])
        except (OSError, TypeError, pyarrow.ArrowException) as error:
            raise UsageError(f"{path}: cannot be read ({error})", "begin in a new DIR") from None


def make_plan(
    directory: Path, location: str, references: Iterable[Reference], shard_pictures: int
) -> Plan:
    """Cut references into shards and write them down; `write_manifest` is what makes it a plan.

    A tar is not opened to count its pictures, which would read all of it from a bucket: the first stands
    for the others. UsageError if there are no pictures, or the archive would lie among them.
    """
    folder = directory / FOLDER
    if not is_remote(location) and directory.resolve().is_relative_to(Path(location).resolve()):
        raise UsageError(f"{directory}: is in {location}, the input", "choose one outside of it")
    if any(directory.glob("shard-*.parquet")):  # which would be taken for this archive's
        raise UsageError(f"{directory}: holds shards without their plan", "choose another")
    drop_plan(directory)  # of a run that ended before its plan was one
    shards = pictures = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for shard in _cut(_estimate_tars(references), shard_pictures):
            pictures += sum(each.pictures for each in shard)
            _write_references(_find_references(directory, shards), shard)
            shards += 1
        if not shards:
            raise UsageError(f"{location}: holds no pictures")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})") from None
    except BaseException:
        drop_plan(directory)
        raise
    return Plan(directory, location, shard_pictures, shards, pictures, {})


def drop_plan(directory: Path) -> None:
    """Remove a plan that has no manifest yet."""
    for path in (directory / FOLDER).glob("*plan-*.parquet*"):
        path.unlink()


def write_manifest(plan: Plan) -> None:
    """Make a plan, with its settings, the one that runs go on with."""
    content = {"schema": _SCHEMA, **asdict(plan)}
    del content["directory"]
    data = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(plan.directory / FOLDER / _MANIFEST, data.encode())


def read_plan(directory: Path) -> Plan | None:
    """The plan in a directory, None if it has none. UsageError where it is damaged, or too new."""
    path = directory / FOLDER / _MANIFEST
    try:
        content = json.loads(path.read_bytes())
        if content["schema"] != _SCHEMA:
            raise UsageError(
                f"{path}: schema {content['schema']} is not known", "update maclip-edge"
            )
        del content["schema"]
        plan = Plan(directory=directory, **content)
        for field in fields(Plan)[1:]:
            known = {"int": int, "str": str}.get(str(field.type), dict)
            if not isinstance(getattr(plan, field.name), known):
                raise TypeError(field.name)
    except FileNotFoundError:
        return None
    except UsageError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})", "begin in a new DIR") from None
    return plan


def check_plan(plan: Plan, location: str, shard_pictures: int, *, resume: bool) -> None:
    """Raise UsageError unless this run may go on with the plan of another."""
    if not resume:
        raise UsageError(
            f"{plan.directory}: holds an archive already",
            Remedy("go on with {resume}, or choose another", settings={"resume": True}),
        )
    check_settings(
        plan,
        {"input": plan.input, "shard pictures": plan.shard_pictures},
        {"input": location, "shard pictures": shard_pictures},
    )


def check_settings(plan: Plan, theirs: Mapping[str, object], mine: Mapping[str, object]) -> None:
    """Raise UsageError unless settings are those that the archive was begun with."""
    for name in [*theirs, *(name for name in mine if name not in theirs)]:
        if theirs.get(name) != mine.get(name):
            raise UsageError(
                f"{plan.directory}: was begun with {name} {theirs.get(name)!s:.200}, and this is "
                f"{mine.get(name)!s:.200}",
                "go on with the same settings, or choose another directory",
            )


def _estimate_tars(references: Iterable[Reference]) -> Iterator[Reference]:
    estimate = 0
    for each in references:
        if each.kind == "tar":
            estimate = estimate or max(count_members(each.file), 1)
            yield Reference("tar", each.file, estimate)
        else:
            yield each


def _cut(references: Iterable[Reference], shard_pictures: int) -> Iterator[list[Reference]]:
    """References as shards of about so many pictures: what is not cut, a tar, may make one larger."""
    shard: list[Reference] = []
    pictures = 0
    for each in references:
        if shard and pictures + each.pictures > shard_pictures:
            yield shard
            shard, pictures = [], 0
        shard.append(each)
        pictures += each.pictures
    if shard:
        yield shard


def _write_references(path: Path, references: list[Reference]) -> None:
    pyarrow: Any = import_pyarrow()
    columns = {
        field.name: [getattr(each, field.name) for each in references]
        for field in fields(Reference)
    }
    schema = pyarrow.schema(
        [(name, pyarrow.int64() if name in _NUMBERS else pyarrow.string()) for name in columns]
    )
    with open_whole(path) as stream:
        table = pyarrow.table(columns, schema=schema)
        pyarrow.parquet.write_table(table, stream, compression="zstd")


_NUMBERS = ("pictures", "row_group", "first_row")


def _find_references(directory: Path, shard: int) -> Path:
    return directory / FOLDER / f"plan-{shard:05}.parquet"
