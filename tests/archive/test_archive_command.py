"""`maclip archive` where it ends before Ray starts, and on a Ray of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from archives import read_archive

pytest.importorskip("ray", reason="needs maclip-edge[ray]")
SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none", "--output", "out"], "none: no such folder or file"),
        (["in", "--output", "out", "--bundle", "nowhere"], "nowhere"),
        (["in", "--output", "in/out"], "is in"),
        (["in", "--output", "a-file"], "a-file: cannot be written"),
        (["empty", "--output", "out"], "holds no pictures"),
        (["in"], "Missing option '--output'"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(
    arguments, told, maclip, make_pictures, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    make_pictures(tmp_path / "in", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a-file").touch()
    done = maclip("archive", *arguments, MACLIP_BUNDLE="demo")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert told in line
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "0000.jpg",
        "a-file",
        "empty",
        "in",
    ]


def test_no_cluster_at_the_address_is_one_line(maclip, make_pictures, tmp_path):
    make_pictures(tmp_path / "in", 1)
    done = maclip(
        "archive", tmp_path / "in", "--output", tmp_path / "out", "--bundle", "demo",
        "--address", "127.0.0.1:1",
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "127.0.0.1:1: no Ray cluster answers there" in line


def test_the_samples_are_scored_on_this_machine_alone(maclip, tmp_path):
    """And a second run says that all is done, without Ray."""
    command = [
        "archive", SAMPLES, "--output", tmp_path / "out", "--bundle", "demo", "--preset", "224"
    ]  # fmt: skip
    done = maclip(*command)
    assert done.returncode == 0, done.stderr
    told = f"maclip: {tmp_path}/out: 3 pictures in 1 files"
    assert done.stderr.splitlines()[-1] == told
    scored = maclip("score", SAMPLES, "--bundle", "demo", "--preset", "224", "--format", "json")
    expected = {record["path"]: record["score"] for record in json.loads(scored.stdout)}
    assert {row["path"]: row["score"] for row in read_archive(tmp_path / "out")} == expected
    again = maclip(*command, "--resume")
    assert (again.returncode, again.stderr) == (0, f"{told}\n")
