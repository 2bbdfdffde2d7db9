"""Archives as the tests make and read them; workers without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maclip_runtime import Scorer
from maclip_runtime.archive.filling import fill
from maclip_runtime.archive.inventory import take_inventory
from maclip_runtime.archive.plan import Plan, make_plan, write_manifest
from maclip_runtime.archive.scoring import Scored, UnitScorer
from maclip_runtime.archive.units import Unit
from maclip_runtime.archive.workers import Crew
from maclip_runtime.results.record import Record

DISTINCT = 6  # pictures; more files hold the same again, so that their scores are known soon


class Here:
    """Workers in this process: what Ray's do, without Ray."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = UnitScorer(scorer)

    def introduce(self) -> Crew:
        return Crew(self._scorer.settings, self._scorer.attributes, 1, False)

    def score(self, units: Sequence[Unit]) -> Iterator[Scored]:
        for unit in units:
            yield from self._scorer.score(unit)


def plan_archive(
    source: object, directory: Path, workers: Any, shard: int = 100, **of: Any
) -> Plan:
    """The plan that `maclip archive` would write."""
    plan = make_plan(directory, str(source), take_inventory(str(source), **of), shard)
    plan = replace(plan, settings=workers.introduce().settings)
    write_manifest(plan)
    return plan


def fill_archive(plan: Plan, workers: Any, advance: Callable[[str], None] = len) -> list[str]:
    """Fill an archive; what was said meanwhile."""
    said: list[str] = []
    fill(plan, workers, workers.introduce(), advance=advance, tell=said.append)
    return said


def read_archive(directory: Path) -> list[dict[str, Any]]:
    """All rows, as any reader of Parquet finds them."""
    import pyarrow.dataset

    return pyarrow.dataset.dataset(directory, format="parquet").to_table().to_pylist()


def check_rows(rows: list[dict[str, Any]], files: Sequence[Path], records: list[Record]) -> None:
    """Every picture is there exactly once, with the very score that `maclip score` writes."""
    assert sorted(row["path"] for row in rows) == sorted(map(str, files))
    by_path = {row["path"]: row for row in rows}
    for index, file in enumerate(files):
        row, record = by_path[str(file)], records[index % DISTINCT]
        if index == 1:
            assert "not a picture" in row["error"]
            assert row["score"] is None
            continue
        assert row["error"] is None
        for name in ("score", "similarity", "magnitude", "weight", "width", "height", "precision"):
            assert row[name] == record[name], (file, name)
        for name, value in record["attributes"].items():
            assert row[f"attribute_{name}"] == value
