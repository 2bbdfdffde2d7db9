"""What is installed is found by pkg-config and CMake, and the example in C scores with it as Python."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maclip_runtime import Scorer, open_bundle

EXAMPLE = Path(__file__).parents[2] / "examples" / "c" / "score_frame.c"
SAMPLE = Path(__file__).parents[2] / "samples" / "chelsea.jpg"

PROJECT = f"""
cmake_minimum_required(VERSION 3.18)
project(example LANGUAGES C)
find_package(maclip 0.1 REQUIRED)
add_executable(score_frame {EXAMPLE})
target_link_libraries(score_frame PRIVATE maclip::maclip)
"""


@pytest.fixture(scope="module")
def prefix(native_build, tmp_path_factory):
    """A place where the library is installed."""
    place = tmp_path_factory.mktemp("prefix")
    subprocess.run(
        ["cmake", "--install", native_build, "--prefix", place], check=True, capture_output=True
    )
    return place


def run(program, prefix, onnxruntime_library, *arguments, data=b""):
    (library,) = prefix.rglob("libmaclip.so.0")
    environment = {
        "LD_LIBRARY_PATH": str(library.parent),
        "MACLIP_ONNXRUNTIME_LIBRARY": onnxruntime_library,
    }
    return subprocess.run(
        [program, *map(str, arguments)], input=data, capture_output=True, env=environment
    )


def check_example(program, prefix, onnxruntime_library):
    frame = np.asarray(Image.open(SAMPLE).convert("RGB"))
    height, width = frame.shape[:2]
    arguments = (open_bundle("demo").path, width, height)
    done = run(program, prefix, onnxruntime_library, *arguments, data=frame.tobytes())
    assert done.returncode == 0, done.stderr
    expected = Scorer("demo", engine="onnxruntime-cpu").score(frame).score
    assert float(done.stdout) == pytest.approx(expected, abs=1e-5)
    done = run(program, prefix, onnxruntime_library, *arguments, data=b"too little")
    assert (done.returncode, done.stderr) == (1, b"stdin holds less than a frame\n")
    done = run(program, prefix, onnxruntime_library, "/nowhere", 1, 1, data=b"abc")
    assert done.returncode == 1
    assert done.stderr == b"/nowhere: no such bundle; make one: maclip export\n"


def test_the_example_by_pkg_config(prefix, onnxruntime_library, tmp_path):
    (config,) = prefix.rglob("maclip.pc")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(config.parent)}
    flags = subprocess.run(
        ["pkg-config", f"--define-variable=prefix={prefix}", "--cflags", "--libs", "maclip"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    program = tmp_path / "score_frame"
    subprocess.run(
        ["cc", "-Wall", "-Wextra", "-Werror", EXAMPLE, "-o", program, *flags], check=True
    )
    check_example(program, prefix, onnxruntime_library)


def test_the_example_by_find_package(prefix, onnxruntime_library, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    configure = ["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"]
    subprocess.run(configure, check=True, capture_output=True)
    subprocess.run(["cmake", "--build", tmp_path / "build"], check=True, capture_output=True)
    check_example(tmp_path / "build" / "score_frame", prefix, onnxruntime_library)


def test_nothing_but_the_interface_is_exported(native_build):
    done = subprocess.run(
        ["nm", "--dynamic", "--defined-only", native_build / "libmaclip.so"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line.split()[-1] for line in done.stdout.splitlines()}
    text = (EXAMPLE.parents[2] / "runtime" / "native" / "include" / "maclip.h").read_text()
    functions = {name for name in names if f"{name}(" in text}
    assert len(functions) == 12
    assert names == functions
