"""Fixtures: bundles and pictures that a seed determines, and the command line as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from cameras import SYSTEM_PYTHON, Camera
from reference.make_images import SIZES, picture

BundleOf = Callable[[str], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]


# A shell starts a background job with SIGINT ignored, which every program the tests start would inherit.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What only the development environment has; the environment of the oldest versions leaves it out by -m.
DEVELOPMENT_FIXTURES = {"rtx", "jsonschema", "cuda_package", "cuda_bindings"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need what only the development environment has."""
    for item in items:
        if DEVELOPMENT_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("dev")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip for anything but a missing GPU is a failure: what the tests need is installed there."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if item.get_closest_marker("gpu") is None and "GPU" not in reason:
            report.outcome, report.longrepr = "failed", f"skipped in CI: {reason}"
    return report


@pytest.fixture
def jsonschema() -> ModuleType:
    """The validator that the manifest's schema is tried with."""
    import jsonschema

    return jsonschema


@pytest.fixture
def rtx() -> str:
    """TensorRT-RTX's version; it is on PyPI for x86-64 only, and not in the oldest environment."""
    import tensorrt_rtx

    return str(tensorrt_rtx.__version__)


@pytest.fixture(scope="session")
def bundles_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reference checkpoints and their bundles are, or are made when they are wanted."""
    given = os.environ.get("MACLIP_TEST_BUNDLES")
    return Path(given) if given else tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="session")
def bundle_of(bundles_directory: Path) -> BundleOf:
    """The bundle of a reference architecture, made once for all tests."""

    @cache
    def find(arch: str) -> Path:
        bundle = bundles_directory / f"{arch}.maclip"
        if "MACLIP_TEST_BUNDLES" not in os.environ:
            from make_bundles import write_bundle

            write_bundle(arch, bundles_directory)
        return bundle

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


def _require(present: bool, what: str) -> None:
    """Skip the test for want of something, by its name; in CI that is a failure."""
    if present:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"needs {what}")


@pytest.fixture
def camera() -> Iterator[Camera]:
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    found = (
        Path(SYSTEM_PYTHON).exists()
        and not subprocess.run([SYSTEM_PYTHON, "-c", check], stderr=subprocess.DEVNULL).returncode
    )
    _require(found, "gir1.2-gst-rtsp-server-1.0 for /usr/bin/python3 (tests/system_packages.sh)")
    started = Camera()
    yield started
    started.kill()


@pytest.fixture
def video(tmp_path: Path) -> Callable[..., Path]:
    """Write a video into the test's folder: `video("a.mp4", codec=..., ...)`."""
    from footage import write_video

    return lambda name, **settings: write_video(tmp_path / name, **settings)
