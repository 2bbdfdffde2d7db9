"""Help and completion: every command explains itself within 80 columns, and shells complete it."""

import os
import re
import subprocess
import sys

import pytest
import typer

from maclip_runtime.cli.app import build_app

COMMANDS = sorted(typer.main.get_command(build_app()).commands)  # type: ignore[attr-defined]
PLAIN = {"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_fits_80_columns(maclip, command):
    done = maclip(*filter(None, [command]), "--help", **PLAIN)
    assert (done.returncode, done.stderr) == (0, "")
    usage = "Usage: maclip" if command is None else f"Usage: maclip {command} "
    assert done.stdout.startswith(usage)
    for line in done.stdout.splitlines()[1:]:
        assert len(line) <= 80, line
        assert not line.endswith(("...", "…")), f"cut off: {line}"
        assert not re.search(r"-[a-z]+-$", line), f"an option broken in two: {line}"
    assert "\\" not in done.stdout, "brackets are escaped"


def test_every_command_says_in_one_line_what_it_does(maclip):
    listing = maclip("--help", **PLAIN).stdout.split("Commands:\n")[1]
    described = dict(line.split(maxsplit=1) for line in listing.splitlines())
    assert sorted(described) == COMMANDS
    assert all(text.endswith(".") for text in described.values())


def complete(line: str, shell: str = "bash") -> list[str]:
    """What a shell offers after this line, asked as its completion script asks."""
    environment = {
        "_MACLIP_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - (not line.endswith(" "))),
    }
    done = subprocess.run(
        [sys.executable, "-m", "maclip_runtime"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_shells_complete_commands_options_and_choices():
    assert set(COMMANDS) <= set(complete("maclip "))
    assert complete("maclip sco") == ["score"]
    assert complete("maclip score --min") == ["--min-score"]
    assert complete("maclip score --preset ") == ["native", "448", "224"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_for_maclip(maclip, shell):
    shown = maclip("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert shown.returncode == 0, shown.stderr
    assert "_MACLIP_COMPLETE" in shown.stdout
