"""The feature cache: what it depends on, damage, and runs that are killed half-way for real."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from miniatures import write_picture, write_rows

from benchmarks.accuracy import datasets, feature_cache
from benchmarks.accuracy.feature_cache import Encoded, FeatureCache, PictureHashes, identify_encoder
from benchmarks.accuracy.options import DatasetName
from conftest import ScorerOf
from maclip_runtime.bundle.bundle import hash_file
from maclip_runtime.errors import OutputError

# Runs benchmarks.accuracy.datasets and kills its own process, as the kernel would, at the moment that
# `{moment}` is called for the time number {calls}.
KILLED_RUN = """
import os, signal
from benchmarks.accuracy import datasets, feature_cache
from benchmarks.console import run_script
from maclip_runtime.engines.engine import Engine
owner, name = {moment}
original, calls = getattr(owner, name), []
def wrapper(*arguments):
    calls.append(1)
    if len(calls) == {calls}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments)
setattr(owner, name, wrapper)
run_script(datasets.main)
"""
ROOT = Path(__file__).parents[2]
PICTURES = 8


def make_folder(root: Path) -> Path:
    for number in range(PICTURES):
        write_picture(root / f"{number}.png", number)
    rows = [(f"{number}.png", PICTURES - number) for number in range(PICTURES)]
    write_rows(root / "scores.csv", ("path", "score"), rows)
    return root


def run_killed(moment: str, calls: int, root: Path, bundle: Path, folder: Path) -> int:
    """Run the script in a process of its own that is killed; returns its exit status."""
    program = KILLED_RUN.format(moment=moment, calls=calls)
    options = {"dataset": "csv", "root": root, "bundle": bundle, "output": folder / "out",
               "cache": folder / "cache", "resamples": 0}  # fmt: skip
    command = [sys.executable, "-c", program]
    command += [f"--{name}={value}" for name, value in options.items()]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode


def run(root: Path, bundle: Path, output: Path, cache: Path) -> tuple[int, int]:
    """Run the benchmark to its end; returns how many pictures it encoded and how many it had."""
    dataset = DatasetName["csv"]
    datasets.main(dataset, root, str(bundle), output, cache=cache, resamples=0, threads=1)
    record = json.loads((output / "report.json").read_text())
    return record["encoded"], record["cached"]


@pytest.mark.parametrize(
    ("moment", "calls", "kept"),
    [
        ('(Engine, "encode")', 5, 4),  # while the engine works on the fifth picture
        (
            "(feature_cache.Path, 'replace')",
            5,
            3,
        ),  # key.json, then features: before the fourth appears
    ],
)
def test_a_killed_run_goes_on_without_encoding_again(
    moment: str, calls: int, kept: int, rn_small_bundle: Path, tmp_path: Path
) -> None:
    root, cache = make_folder(tmp_path / "pictures"), tmp_path / "cache"
    assert run_killed(moment, calls, root, rn_small_bundle, tmp_path) == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    resumed = run(root, rn_small_bundle, tmp_path / "out", cache)
    assert resumed == (PICTURES - kept, kept)
    fresh = run(root, rn_small_bundle, tmp_path / "fresh", tmp_path / "other-cache")
    assert fresh == (PICTURES, 0)
    assert read_scores(tmp_path / "out") == read_scores(tmp_path / "fresh")


def read_scores(output: Path) -> list[dict[str, str]]:
    with (output / "scores.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_features_are_kept_by_content_graph_and_preset(scorer_of: ScorerOf, tmp_path: Path) -> None:
    native, small = (FeatureCache(tmp_path, scorer_of(preset)) for preset in ("native", "224"))
    features = np.ones((2, native.width), np.float32)
    native.store("ab" * 32, Encoded(features, True))
    found = FeatureCache(tmp_path, scorer_of("native")).load("ab" * 32)
    assert found is not None
    np.testing.assert_array_equal(found.features, features)
    assert found.enlarged
    assert native.load("cd" * 32) is None
    assert small.load("ab" * 32) is None
    key = json.loads((native.folder / "key.json").read_text())
    assert key["graph"] == identify_encoder(scorer_of("native"))
    assert key["preset"] == "native"


@pytest.mark.parametrize("damage", ["cut", "empty", "other shape", "other type"])
def test_damaged_features_are_made_again(damage: str, scorer_of: ScorerOf, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, scorer_of("native"))
    content = "ab" * 32
    width = cache.width - 1 if damage == "other shape" else cache.width
    kind = np.float64 if damage == "other type" else np.float32
    cache.store(content, Encoded(np.ones((2, width), kind), False))
    path = cache.folder / content[:2] / f"{content}.npz"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "empty":
        path.write_bytes(b"")
    assert cache.load(content) is None


def test_a_failed_write_leaves_nothing(
    scorer_of: ScorerOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache(tmp_path, scorer_of("native"))

    def fail(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OutputError, match="No space"):
        cache.store("ab" * 32, Encoded(np.ones((1, cache.width), np.float32), False))
    assert list((cache.folder / "ab").iterdir()) == []


def test_hashes_are_remembered_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture.png"
    write_picture(path, 1)
    first = PictureHashes(tmp_path / "cache").hash(path)
    read: list[Path] = []

    def hash_and_count(path: Path) -> str:
        read.append(path)
        return hash_file(path)

    monkeypatch.setattr(feature_cache, "hash_file", hash_and_count)
    hashes = PictureHashes(tmp_path / "cache")
    assert hashes.hash(path) == first
    assert read == []
    status = path.stat()
    write_picture(path, 2)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    assert hashes.hash(path) != first
    assert read == [path]
    with pytest.raises(FileNotFoundError):
        hashes.hash(tmp_path / "nowhere.png")


def test_moved_pictures_keep_their_features(rn_small_bundle: Path, tmp_path: Path) -> None:
    cache, root = tmp_path / "cache", make_folder(tmp_path / "pictures")
    assert run(root, rn_small_bundle, tmp_path / "a", cache) == (PICTURES, 0)
    moved = root.rename(tmp_path / "elsewhere")
    assert run(moved, rn_small_bundle, tmp_path / "b", cache) == (0, PICTURES)
