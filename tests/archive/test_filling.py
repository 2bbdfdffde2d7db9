"""Filling an archive without Ray: resuming, workers that die, and what is written."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from archives import Here, check_rows, fill_archive, plan_archive, read_archive

from maclip_runtime.archive import units
from maclip_runtime.archive.filling import Summary, hold_archive, summarise
from maclip_runtime.archive.inventory import take_inventory
from maclip_runtime.archive.plan import FOLDER, check_plan, check_settings, make_plan, read_plan
from maclip_runtime.archive.scoring import Scored
from maclip_runtime.archive.workers import WorkersLostError
from maclip_runtime.errors import EngineError, OutputError, UsageError
from maclip_runtime.results.parquet import read_about

pq = pytest.importorskip("pyarrow.parquet", reason="needs maclip-edge[ray]")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Units of four pictures, so that a few pictures are several."""
    monkeypatch.setattr(units, "UNIT_PICTURES", 4)
    monkeypatch.setattr(units, "UNITS", 1)


class Failing(Here):
    """Workers that act up: `fail(unit, scored)` is called with every result, before it is handed on."""

    def __init__(self, scorer, fail):
        super().__init__(scorer)
        self.fail = fail
        self.given = []

    def score(self, units):
        self.given += units
        for scored in super().score(units):
            self.fail(scored)
            yield scored


def test_a_shard_is_a_file_with_a_row_a_picture_and_the_settings(
    tmp_path, make_pictures, records, scorer
):
    files = make_pictures(tmp_path / "in", 10)
    here, output = Here(scorer), tmp_path / "out"
    plan = plan_archive(tmp_path / "in", output, here, shard=6)
    fill_archive(plan, here)
    check_rows(read_archive(output), files, records)
    assert summarise(plan) == Summary(pictures=10, failed=1)
    shards = sorted(output.glob("*.parquet"))
    assert [pq.read_metadata(shard).num_rows for shard in shards] == [6, 4]
    about = read_about(shards[0])
    assert (about["pictures"], about["failed"]) == (6, 1)
    assert about["settings"] == here.introduce().settings
    left = {path.name for path in output.joinpath(FOLDER).iterdir()}
    assert left == {"manifest.json", "plan-00000.parquet", "plan-00001.parquet"}


def test_results_that_come_twice_count_once_and_with_a_gap_not_at_all(
    tmp_path, make_pictures, records, scorer
):
    class Confused(Here):
        def score(self, units):
            for unit in units:
                for each in super().score([replace(unit, careful=True)]):
                    if each.first == 2:  # what comes before it was lost
                        yield replace(each, first=3)
                    yield each
                    yield each

    files = make_pictures(tmp_path / "in", 8)
    here = Confused(scorer)
    fill_archive(plan_archive(tmp_path / "in", tmp_path / "out", here), here)
    check_rows(read_archive(tmp_path / "out"), files, records)


def test_lost_workers_are_replaced_and_only_the_rest_is_given_to_others(
    tmp_path, make_pictures, records, scorer
):
    def fail(scored):
        if scored.unit == 1 and len(team.given) <= 3:
            raise WorkersLostError("a cable was pulled")

    files = make_pictures(tmp_path / "in", 10)
    team = Failing(scorer, fail)
    plan = plan_archive(tmp_path / "in", tmp_path / "out", team)
    said = fill_archive(plan, team)
    assert said == ["a cable was pulled; what is left is given to others"]
    assert [unit.number for unit in team.given] == [0, 1, 2, 1, 2]
    check_rows(read_archive(tmp_path / "out"), files, records)


def test_workers_that_never_have_a_result_end_the_run(tmp_path, make_pictures, scorer):
    def fail(scored):
        raise WorkersLostError("no electricity")

    make_pictures(tmp_path / "in", 3)
    team = Failing(scorer, fail)
    plan = plan_archive(tmp_path / "in", tmp_path / "out", team)
    with pytest.raises(EngineError, match="no electricity"):
        fill_archive(plan, team)
    assert not list(tmp_path.glob("out/*.parquet"))


def test_a_picture_that_workers_die_of_is_a_row_with_an_error(
    tmp_path, make_pictures, records, scorer
):
    class Dying(Here):
        """The unit of a worker that dies has no end; others of its results were there before."""

        def score(self, units):
            for unit in units:
                for scored in super().score([replace(unit, careful=True)]):
                    if "0004" in str(scored.records) and not unit.condemned:
                        break
                    yield scored

    files = make_pictures(tmp_path / "in", 8)
    team = Dying(scorer)
    fill_archive(plan_archive(tmp_path / "in", tmp_path / "out", team), team)
    rows = read_archive(tmp_path / "out")
    (given_up,) = [row for row in rows if row["path"] == str(files[4])]
    assert given_up["error"].startswith("whatever scored it ended, every time")
    others = [file for file in files if file != files[4]]
    assert sorted(row["path"] for row in rows if row is not given_up) == sorted(map(str, others))
    assert sum(row["error"] is None for row in rows) == 6


def test_what_was_scored_before_an_interruption_is_not_scored_again(
    tmp_path, make_pictures, records, scorer
):
    files = make_pictures(tmp_path / "in", 10)
    here = Here(scorer)
    plan = plan_archive(tmp_path / "in", tmp_path / "out", here)
    seen = []

    def interrupt(path):
        seen.append(path)
        if len(seen) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_archive(plan, here, interrupt)
    assert not list(tmp_path.glob("out/*.parquet"))
    again = Failing(scorer, lambda scored: None)
    fill_archive(read_plan(tmp_path / "out"), again)
    assert [(unit.number, unit.skip) for unit in again.given] == [(1, 2), (2, 0)]
    check_rows(read_archive(tmp_path / "out"), files, records)


def test_finished_shards_are_left_alone(tmp_path, make_pictures, scorer):
    make_pictures(tmp_path / "in", 6)
    here, output = Here(scorer), tmp_path / "out"
    plan = plan_archive(tmp_path / "in", output, here, shard=2)
    fill_archive(plan, here)
    (output / "shard-00001.parquet").unlink()
    before = [path.stat().st_mtime_ns for path in sorted(output.glob("*.parquet"))]
    seen = []
    fill_archive(plan, here, seen.append)
    assert seen == [str(tmp_path / "in" / name) for name in ("0002.jpg", "0003.jpg")]
    after = [path.stat().st_mtime_ns for path in sorted(output.glob("*.parquet"))]
    assert [after[0], after[2]] == before


def test_an_archive_is_gone_on_with_only_as_it_was_begun(tmp_path, make_pictures, scorer):
    make_pictures(tmp_path / "in", 2)
    here = Here(scorer)
    plan = plan_archive(tmp_path / "in", tmp_path / "out", here)
    assert read_plan(tmp_path / "out") == plan
    with pytest.raises(UsageError, match="holds an archive already; go on with resume=True"):
        check_plan(plan, plan.input, 100, resume=False)
    with pytest.raises(UsageError, match="was begun with input .*in, and this is /other"):
        check_plan(plan, "/other", 100, resume=True)
    with pytest.raises(UsageError, match="with shard pictures 100, and this is 7"):
        check_plan(plan, plan.input, 7, resume=True)
    with pytest.raises(UsageError, match="with preset native, and this is 448"):
        check_settings(plan, plan.settings, {**plan.settings, "preset": "448"})
    check_plan(plan, plan.input, 100, resume=True)


@pytest.mark.parametrize("change", [{"schema": 99}, {"shards": "1"}, {"pictures": None}])
def test_a_damaged_or_newer_plan_is_refused(change, tmp_path, make_pictures, scorer):
    make_pictures(tmp_path / "in", 2)
    plan_archive(tmp_path / "in", tmp_path / "out", Here(scorer))
    path = tmp_path / "out" / FOLDER / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UsageError, match="manifest.json: "):
        read_plan(tmp_path / "out")


def test_shards_without_their_plan_are_not_taken_for_this_archives(tmp_path, make_pictures):
    make_pictures(tmp_path / "in", 2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "shard-00000.parquet").touch()
    with pytest.raises(UsageError, match="holds shards without their plan"):
        make_plan(tmp_path / "out", "in", take_inventory(str(tmp_path / "in")), 10)


def test_two_runs_do_not_write_one_archive(tmp_path):
    with (
        hold_archive(tmp_path / "out"),
        pytest.raises(OutputError, match="another process"),
        hold_archive(tmp_path / "out"),
    ):
        pass
    assert not (tmp_path / "out").exists()  # nothing was written


def test_every_result_is_of_the_picture_that_its_place_says(tmp_path, make_pictures, scorer):
    files = make_pictures(tmp_path / "in", 5)
    here = Here(scorer)
    plan = plan_archive(tmp_path / "in", tmp_path / "out", here)
    unit = plan.read_units(0)[0]
    parts: list[Scored] = list(here.score([replace(unit, skip=2, careful=True)]))
    assert [(part.first, len(part.records), part.total) for part in parts] == [
        (2, 1, None), (3, 1, None), (4, 0, 4)
    ]  # fmt: skip
    assert [part.records[0]["path"] for part in parts[:2]] == list(map(str, files[2:4]))
