"""Paths: what cannot be read is an error, and what names nothing is wrong usage."""

import subprocess
import sys

import pytest

from maclip_runtime import PictureError, UsageError, open_bundle
from maclip_runtime.errors import BundleError
from maclip_runtime.sources.paths import find_pictures


def test_a_broken_link_is_an_error(maclip, rn_small_bundle, pictures, tmp_path):
    (tmp_path / "a.png").symlink_to("gone.png")
    (tmp_path / "b.png").symlink_to(pictures / "224x224.png")
    done = maclip("score", tmp_path, "--bundle", rn_small_bundle, "--format", "jsonl")
    assert done.returncode == 1
    assert f"{tmp_path / 'a.png'}: no such file" in done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "deeper").mkdir()
    (tmp_path / "a.png").touch()
    (tmp_path / "deeper" / "b.png").touch()
    import os

    scandir = os.scandir

    def refuse(path):  # by permissions it would not be refused to the superuser
        if str(path).endswith("deeper"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    error, path = find_pictures([str(tmp_path)], recursive=True)
    assert isinstance(error, PictureError)
    assert str(error) == f"{tmp_path / 'deeper'}: cannot be listed: Permission denied"
    assert path == str(tmp_path / "a.png")


def test_empty_paths_are_wrong_usage(maclip, rn_small_bundle, pictures):
    with pytest.raises(UsageError, match="empty path"):
        list(find_pictures([""], recursive=False))
    with pytest.raises(UsageError, match="empty"):
        open_bundle("")
    assert maclip("score", "", "--bundle", rn_small_bundle).returncode == 2
    done = maclip("score", pictures, MACLIP_BUNDLE="")
    assert (done.returncode, done.stdout) == (2, "")
    assert "MACLIP_BUNDLE is empty" in done.stderr


@pytest.mark.parametrize("name", ["n" * 300, "nul\0byte", "loop", "\ud800"])
def test_odd_paths_are_one_line(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    path = str(tmp_path / name)
    assert list(find_pictures([path], recursive=True)) == [path]
    with pytest.raises(BundleError) as caught:
        open_bundle(path)
    assert "\n" not in str(caught.value)


def test_a_defect_is_one_line_and_can_be_reported(rn_small_bundle):
    code = (
        "import maclip_runtime.cli.inspect as i\n"
        "i.open_bundle = None\n"
        "from maclip_runtime.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run([*command, "inspect", "x"], capture_output=True, text=True)
    assert done.returncode == 70
    (line,) = done.stderr.splitlines()
    assert "TypeError: 'NoneType' object is not callable" in line
    done = subprocess.run([*command, "--verbose", "inspect", "x"], capture_output=True, text=True)
    assert "Traceback" in done.stderr
