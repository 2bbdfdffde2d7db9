"""Writing bundles from several processes at once: nothing is lost, and nothing replaced unasked."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from maclip_runtime import BundleError, open_bundle
from maclip_runtime.bundle.manifest import BundleFile
from maclip_runtime.bundle.staging import add_file, stage_bundle

ADD = """
import sys
from maclip_runtime import open_bundle
from maclip_runtime.bundle.manifest import BundleFile
from maclip_runtime.bundle.staging import add_file
bundle = open_bundle(sys.argv[1])
for index in range(50):
    add_file(bundle, BundleFile(f"{sys.argv[2]}-{index}.npz", "prompts", 0, ""), b"data")
"""


def test_files_that_processes_add_at_once_are_all_there(rn_small_bundle, tmp_path):
    bundle = shutil.copytree(rn_small_bundle, tmp_path / "b.maclip")
    before = len(open_bundle(bundle).manifest.files)
    adding = [
        subprocess.Popen([sys.executable, "-c", ADD, str(bundle), str(number)])
        for number in range(4)
    ]
    assert [process.wait() for process in adding] == [0] * 4
    names = [file.path for file in open_bundle(bundle).manifest.files]
    assert len(set(names)) == len(names) == before + 200
    assert all((bundle / name).exists() for name in names)
    assert not list(bundle.glob(".*"))


def fill(*files):
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.touch()


def test_a_bundle_that_appeared_meanwhile_is_not_replaced(tmp_path):
    destination = tmp_path / "b.maclip"
    with (
        pytest.raises(BundleError, match="appeared meanwhile"),
        stage_bundle(destination, replace=False) as staging,
    ):
        fill(staging / "mine", destination / "theirs")
    assert [path.name for path in tmp_path.rglob("*")] == ["b.maclip", "theirs"]


def test_a_replaced_bundle_keeps_its_permissions_and_its_link(rn_small_bundle, tmp_path):
    bundle = shutil.copytree(rn_small_bundle, tmp_path / "b.maclip")
    bundle.chmod(0o750)
    link = tmp_path / "link"
    link.symlink_to(bundle)
    with stage_bundle(link, replace=True) as staging:
        (staging / "new").touch()
    assert link.is_symlink()
    assert [path.name for path in bundle.iterdir()] == ["new"]
    assert bundle.stat().st_mode & 0o777 == 0o750
    assert len(list(tmp_path.iterdir())) == 2


def test_a_bundle_that_cannot_be_changed_says_so(rn_small_bundle, tmp_path):
    bundle = open_bundle(shutil.copytree(rn_small_bundle, tmp_path / "b.maclip"))
    (bundle.path / ".manifest.json.lock").mkdir()  # refused to the superuser, too
    with pytest.raises(BundleError, match="cannot be changed"):
        add_file(bundle, BundleFile("x.npz", "prompts", 0, ""), b"")
    assert not os.path.exists(bundle.path / "x.npz")  # noqa: PTH110
    assert json.loads((bundle.path / "manifest.json").read_text())
