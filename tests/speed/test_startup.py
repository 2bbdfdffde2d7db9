"""Timing the start of `maclip score`: that it starts what it says, and fails in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.speed import startup
from maclip_runtime.errors import UsageError


@pytest.mark.parametrize("cold", [False, True])
def test_every_bundle_has_a_row(rn_small_bundle, capsys, cold):
    startup.main(["demo", str(rn_small_bundle)], repeats=1, cold=cold)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["demo", "rn-small.maclip"]


def test_the_first_run_is_not_counted(monkeypatch, capsys):
    seconds = iter([9.0, 1.0, 3.0, 2.0])
    monkeypatch.setattr(startup, "time_start", lambda command: next(seconds))
    startup.main(["demo"], repeats=3)
    assert "| demo | 2.00 | 1.00 | 3.00 |" in capsys.readouterr().out


def test_a_command_that_fails_says_why():
    command = [str(Path(sys.executable).with_name("maclip")), "score", "gone.jpg"]
    with pytest.raises(UsageError, match="gone.jpg: no such file"):
        startup.time_start(command)


def test_there_must_be_a_command():
    with pytest.raises(UsageError, match="no such command"):
        startup.find_command(Path("gone/maclip"))
