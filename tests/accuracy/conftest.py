"""Fixtures of the accuracy benchmarks: a scorer, and miniature datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from miniatures import MINIATURES

from maclip_runtime import Scorer
from maclip_runtime.vocabulary import Preset

ScorerOf = Callable[[Preset], Scorer]


@pytest.fixture(scope="session")
def scorer_of(rn_small_bundle: Path) -> ScorerOf:
    """The scorer of each preset, opened once."""
    opened: dict[Preset, Scorer] = {}

    def find(preset: Preset) -> Scorer:
        if preset not in opened:
            opened[preset] = Scorer(rn_small_bundle, preset=preset, threads=1)
        return opened[preset]

    return find


@pytest.fixture(scope="session")
def feature_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feature cache that the tests share, where what is in it does not matter."""
    return tmp_path_factory.mktemp("features")


@pytest.fixture
def miniature(tmp_path: Path) -> Callable[[str], Path]:
    """Makes the miniature of a dataset; returns its root."""

    def make(name: str) -> Path:
        root = tmp_path / name
        root.mkdir()
        MINIATURES[name](root)
        return root

    return make
