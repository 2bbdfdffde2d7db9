"""Fixtures: bundles and pictures that a seed determines, and the command line as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reference.make_images import SIZES, picture

BundleOf = Callable[[str], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def bundle_of(tmp_path_factory: pytest.TempPathFactory) -> BundleOf:
    """The bundle of a reference architecture, made once for all tests."""
    given = os.environ.get("MACLIP_TEST_BUNDLES")
    directory = Path(given) if given else tmp_path_factory.mktemp("bundles")

    @cache
    def find(arch: str) -> Path:
        if given:
            return directory / f"{arch}.maclip"
        from make_bundles import write_bundle

        return write_bundle(arch, directory)

    return find


@pytest.fixture(scope="session")
def rn_small_bundle(bundle_of: BundleOf) -> Path:
    return bundle_of("rn-small")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference pictures, as files named by their size."""
    directory = tmp_path_factory.mktemp("pictures")
    rng = np.random.RandomState(1)
    for width, height in SIZES:
        Image.fromarray(picture(rng, width, height)).save(directory / f"{width}x{height}.png")
    return directory


@pytest.fixture
def frame() -> np.ndarray:
    """A small frame with content: 2 x 3 windows and some pixels left over."""
    return picture(np.random.RandomState(7), 500, 370)


@pytest.fixture(scope="session")
def maclip() -> Run:
    """Run `maclip` in a process of its own, as a user does."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if k != "MACLIP_BUNDLE"}
        return subprocess.run(
            [sys.executable, "-m", "maclip_runtime", *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**inherited, **environment},
            timeout=600,
        )

    return run
