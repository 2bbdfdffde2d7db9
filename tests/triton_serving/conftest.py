"""Triton: these tests run where its server is, which `make test-serving` has an environment for."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from triton_server import ServedBundle


@pytest.fixture(scope="session", autouse=True)
def triton_is_here() -> None:
    # In its own environment nothing is skipped: there its absence is a failure.
    if importlib.util.find_spec("pytriton") is None and Path(sys.prefix).name != ".venv-system":
        pytest.skip("needs nvidia-pytriton, which .venv-system has (make test-serving)")


@pytest.fixture(scope="session")
def served(bundle_of, tmp_path_factory: pytest.TempPathFactory):
    """The small ResNet in a server: two pictures at once, and a wait long enough to join their views."""
    bundle = bundle_of("rn-small")
    options = ["--instances", 2, "--batch", 16, "--delay", 200_000, "--largest-picture", 2]
    with ServedBundle(bundle, tmp_path_factory.mktemp("served"), *options) as server:
        yield server
