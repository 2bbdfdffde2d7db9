"""Writing bundles in place of others, and into those that cannot be changed."""

import json
import os
import shutil

import pytest

from maclip_runtime import BundleError, open_bundle
from maclip_runtime.bundle.manifest import BundleFile
from maclip_runtime.bundle.staging import LOCK_NAME, add_file, check_writable, stage_bundle


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
    (bundle.path / LOCK_NAME).mkdir()  # refused to the superuser, too
    with pytest.raises(BundleError, match="cannot be written"):
        add_file(bundle, BundleFile("x.npz", "prompts", 0, ""), b"")
    with pytest.raises(BundleError, match="copy it"):
        check_writable(bundle)
    assert not os.path.exists(bundle.path / "x.npz")  # noqa: PTH110
    assert json.loads((bundle.path / "manifest.json").read_text())
