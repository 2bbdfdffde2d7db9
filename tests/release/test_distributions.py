"""What a release is made of: it builds, installs into fresh environments, scores, and names licences."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from maclip_runtime.version import __version__

ROOT = Path(__file__).parents[2]
OLDEST, NEWEST = "3.10", "3.13"  # of pyproject's requires-python
MAX_WHEEL_BYTES = 8_000_000
CLEAN = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MACLIP_BUNDLE")}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The wheel and the source distribution, the wheel built from the latter, as a release is."""
    directory = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", directory, ROOT)
    (wheel,), (source,) = directory.glob("*.whl"), directory.glob("*.tar.gz")
    return wheel, source


def run(*command, directory=None):
    done = subprocess.run(
        list(map(str, command)),
        cwd=directory,
        env=CLEAN,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def find_python(version):
    """This version's interpreter: pyenv keeps it off the path."""
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    for candidate in (f"python{version}", *installed):
        try:
            if not subprocess.run([candidate, "-c", ""], capture_output=True).returncode:
                return candidate
        except FileNotFoundError:
            continue
    pytest.skip(f"needs Python {version}")


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_a_fresh_environment_scores_from_the_wheel_and_from_the_source(
    distributions, version, tmp_path
):
    run(find_python(version), "-m", "venv", tmp_path / "fresh")
    python, maclip = tmp_path / "fresh/bin/python", tmp_path / "fresh/bin/maclip"
    picture = ROOT / "samples" / "coffee.jpg"
    scores = []
    for distribution in distributions:
        pip = (
            python,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--no-compile",
        )
        # The second replaces the first, and keeps what that needed.
        replace = ["--force-reinstall", "--no-deps"] if scores else []
        run(*pip, *replace, f"{distribution}[cpu]")
        assert run(maclip, "--version", directory=tmp_path).split() == ["maclip-edge", __version__]
        found = run(maclip, "score", picture, "--format", "json", directory=tmp_path)
        scores.append(json.loads(found)[0]["score"])
    assert scores[0] == scores[1] == pytest.approx(0.993, abs=5e-4)  # as docs/try.md says
    where = run(python, "-c", "import maclip_runtime as m; print(m.__file__)", directory=tmp_path)
    assert where.startswith(str(tmp_path))
    refused = subprocess.run(
        [maclip, "export", "--checkpoint", picture, "--output", "x"],
        cwd=tmp_path, env=CLEAN, capture_output=True, text=True,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "pip install 'maclip-edge[export]'" in refused.stderr


def test_python_versions_are_pyprojects():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    least, below = re.search(r'requires-python = ">=(3\.\d+),<3\.(\d+)"', project).groups()
    assert (least, f"3.{int(below) - 1}") == (OLDEST, NEWEST)


def test_the_wheel_is_small_and_holds_the_packages_alone(distributions):
    wheel, _ = distributions
    assert wheel.stat().st_size < MAX_WHEEL_BYTES
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.split("/")[0] for name in archive.namelist()}
    assert folders == {"maclip_runtime", "maclip_export", f"maclip_edge-{__version__}.dist-info"}


def list_licensed(page: str, heading: str) -> list[str]:
    """The patterns in the first column of the table below a heading."""
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    first_table = section.strip().split("\n\n")[0]
    return re.findall(
        r"`([^`]+)`", " ".join(row.split("|")[1] for row in first_table.splitlines()[2:])
    )


def test_the_licence_of_every_file_in_the_wheel_is_stated_in_it(distributions):
    wheel, _ = distributions
    with zipfile.ZipFile(wheel) as archive:
        shipped = [name for name in archive.namelist() if ".dist-info/" not in name]
        (page,) = [
            name for name in archive.namelist() if name.endswith("licenses/docs/licences.md")
        ]
        patterns = list_licensed(archive.read(page).decode(), "In the wheel")
    for name in shipped:
        assert any(fnmatch(name, p) or fnmatch(Path(name).name, p) for p in patterns), name
    for pattern in patterns:
        assert any(fnmatch(n, pattern) or fnmatch(Path(n).name, pattern) for n in shipped), pattern


def test_every_photograph_in_the_source_has_its_licence_stated(distributions):
    _, source = distributions
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    with tarfile.open(source) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    photographs = [name for name in names if name.startswith("samples/") and name.endswith(".jpg")]
    stated = list_licensed(page, "In the source distribution besides")
    assert sorted(photographs) == sorted(name for name in stated if name.startswith("samples/"))
    assert set(stated) <= set(names)


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert {
        "cff-version",
        "message",
        "title",
        "authors",
    } <= citation.keys()  # what the format requires
    assert citation["preferred-citation"]["url"].endswith("/2511.09948")


def test_the_changelog_begins_with_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changelog, re.MULTILINE)[1] == __version__
