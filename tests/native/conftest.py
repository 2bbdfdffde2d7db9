"""The C library, built once for all tests of it, and ONNX Runtime's library for it to open."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from libmaclip import Library, NativeScorer

REPOSITORY = Path(__file__).parents[2]


def _require(present: bool, what: str) -> None:
    """Skip for want of something, by its name; tests/conftest.py makes that a failure in CI."""
    if not present:
        pytest.skip(f"needs {what}")


@pytest.fixture(scope="session")
def onnxruntime_library() -> str:
    """The Python package's own, which is at least as new as the headers."""
    import onnxruntime

    found = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
    _require(bool(found), "an onnxruntime package with a shared library of its own")
    return str(found[0])


@pytest.fixture(scope="session")
def native_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the build: MACLIP_NATIVE_BUILD's, or one that is made here."""
    given = os.environ.get("MACLIP_NATIVE_BUILD")
    if given and (Path(given) / "libmaclip.so").exists():
        return Path(given)
    _require(shutil.which("cmake") is not None, "CMake (tests/system_packages.sh)")
    build = tmp_path_factory.mktemp("native")
    configure = ["cmake", "-S", REPOSITORY / "runtime" / "native", "-B", build]
    done = subprocess.run(configure, capture_output=True, text=True)
    _require(done.returncode == 0, f"what docs/native.md lists ({done.stderr.strip()[-300:]!r})")
    subprocess.run(["cmake", "--build", build, "-j2"], check=True)
    return build


@pytest.fixture(scope="session")
def native(native_build: Path) -> Library:
    return Library(native_build / "libmaclip.so")


@pytest.fixture(scope="session")
def native_demo(native: Library, onnxruntime_library: str) -> Iterator[NativeScorer]:
    """The demo bundle, opened."""
    demo = REPOSITORY / "runtime" / "maclip_runtime" / "demo"
    with native.open(demo, onnxruntime_library=onnxruntime_library) as scorer:
        yield scorer
