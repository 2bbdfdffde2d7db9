"""Pictures for archives, their scores, and workers without Ray."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maclip_runtime import Scorer
from maclip_runtime.archive.filling import fill
from maclip_runtime.archive.inventory import take_inventory
from maclip_runtime.archive.plan import Plan, make_plan, write_manifest
from maclip_runtime.archive.scoring import Scored, UnitScorer
from maclip_runtime.archive.units import Unit
from maclip_runtime.archive.workers import Crew
from maclip_runtime.errors import PictureError
from maclip_runtime.results.record import Record, to_record
from reference.make_images import picture

pytest.importorskip("pyarrow", reason="needs maclip-edge[ray]")

DISTINCT = 6  # pictures; more files hold the same again, so that their scores are known soon


@pytest.fixture(scope="session")
def encoded() -> list[bytes]:
    """Encoded pictures that differ: JPEG and PNG in turns."""
    import io

    rng = np.random.RandomState(3)
    found = []
    for index in range(DISTINCT):
        stream = io.BytesIO()
        image = Image.fromarray(picture(rng, 500, 370 + index))
        image.save(stream, "JPEG" if index % 2 else "PNG")
        found.append(stream.getvalue())
    return found


@pytest.fixture(scope="session")
def scorer() -> Scorer:
    return Scorer("demo", threads=1)


@pytest.fixture(scope="session")
def records(encoded: list[bytes], scorer: Scorer) -> list[Record]:
    """What `maclip score` has of each encoded picture, but its path."""
    return [to_record(scorer.score(data)) for data in encoded]


@pytest.fixture(scope="session")
def make_pictures(encoded: list[bytes]) -> Callable[[Path, int], list[Path]]:
    """Write files of the encoded pictures, over and over, the second of them broken."""

    def make(folder: Path, number: int) -> list[Path]:
        folder.mkdir(parents=True)
        files = []
        for index in range(number):
            file = folder / f"{index:04}.jpg"
            file.write_bytes(b"broken" if index == 1 else encoded[index % DISTINCT])
            files.append(file)
        return files

    return make


class Here:
    """Workers in this process: what Ray's do, without Ray."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = UnitScorer(scorer)

    def introduce(self) -> Crew:
        return Crew(self._scorer.settings, self._scorer.attributes, 1, False)

    def score(self, units: Sequence[Unit]) -> Iterator[Scored]:
        for unit in units:
            yield from self._scorer.score(unit)


def plan_archive(source: object, directory: Path, workers: Any, shard: int = 100, **of: Any) -> Plan:
    """The plan that `maclip archive` would write."""
    from dataclasses import replace

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
