"""The code is clean by the tools' own judgement, and the tests' oldest versions are pyproject's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


# ruff's cache knows files, not where their imports lie: a module that moved changes how others are sorted.
@pytest.mark.parametrize(
    "command",
    ["ruff check --no-cache .", "ruff format --check .", "mypy"],
    ids=["lint", "format", "types"],
)
def test_tools_find_nothing(command):
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_users_see_the_types_of_the_public_interface():
    """NumPy's own declarations are partly unknown to pyright: what other packages declare is left out."""
    if not shutil.which("node"):
        pytest.skip("needs nodejs (tests/system_packages.sh)")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "runtime"), "VIRTUAL_ENV": sys.prefix}
    environment["PATH"] = f"{sys.prefix}/bin:{environment['PATH']}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pyright", "--outputjson"),
            *("--ignoreexternal", "--verifytypes", "maclip_runtime"),
        ],
        cwd=ROOT.parent, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(done.stdout)["typeCompleteness"]
    assert found["exportedSymbolCounts"]["withKnownType"] > 1000, "another package was looked at"
    assert found["completenessScore"] >= 0.95, done.stdout


def test_oldest_versions_are_the_lower_bounds():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for line in (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, version = line.split("==")
            assert f'"{name}>={version.removesuffix(".0")}' in project, line
