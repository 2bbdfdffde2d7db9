"""The C++ example, compiled and run, against `maclip score`.

Needs a C++ compiler, CMake and ONNX Runtime's headers (libonnxruntime-dev, or the folder `include` of a
release, named by ONNXRUNTIME_INCLUDE). The library is the Python package's own, which is at least as new.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maclip_runtime import Scorer

SOURCE = Path(__file__).parents[2] / "examples" / "cpp"
SYSTEM_HEADERS = ("/usr/include/onnxruntime", "/usr/local/include/onnxruntime")
TOLERANCE = 1e-5


def find_headers():
    given = os.environ.get("ONNXRUNTIME_INCLUDE")
    for folder in [given] if given else SYSTEM_HEADERS:
        found = sorted(Path(folder).rglob("onnxruntime_cxx_api.h"))
        if found:
            return found[0].parent
    return None


def find_library():
    import onnxruntime

    found = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
    return found[0] if found else None


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The compiled example."""
    headers, library = find_headers(), find_library()
    if not shutil.which("cmake") or not (shutil.which("c++") or shutil.which("g++")):
        pytest.skip("no CMake or no C++ compiler")
    if headers is None:
        pytest.skip(
            "no headers of ONNX Runtime: install libonnxruntime-dev, or set ONNXRUNTIME_INCLUDE"
        )
    if library is None:
        pytest.skip("this onnxruntime package has no shared library of its own")
    build = tmp_path_factory.mktemp("cpp")
    paths = (f"-DONNXRUNTIME_INCLUDE={headers}", f"-DONNXRUNTIME_LIBRARY={library}")
    subprocess.run(["cmake", "-S", SOURCE, "-B", build, *paths], check=True, capture_output=True)
    done = subprocess.run(["cmake", "--build", build], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout + done.stderr
    return build / "score_frame"


def run(program, *arguments, data=None):
    return subprocess.run(
        [program, *map(str, arguments)], input=data, capture_output=True, timeout=300
    )


def read_rows(done):
    assert done.returncode == 0, done.stderr
    return [[float(cell) for cell in line.split()] for line in done.stdout.splitlines()]


def as_ppm(frame, comment=b""):
    height, width = frame.shape[:2]
    return b"P6\n" + comment + b"%d %d\n255\n" % (width, height) + frame.tobytes()


@pytest.fixture(scope="session")
def frames(pictures):
    names = ("512x384.png", "900x224.png")
    return [np.asarray(Image.open(pictures / name).convert("RGB")) for name in names]


@pytest.fixture(scope="session")
def expected(rn_small_bundle, frames):
    scorer = Scorer(rn_small_bundle, engine="onnxruntime-cpu")
    scores = [scorer.score(frame) for frame in frames]
    return [[i, s.score, s.similarity, s.magnitude] for i, s in enumerate(scores)]


def test_a_picture_has_the_score_of_maclip(program, rn_small_bundle, frames, expected, tmp_path):
    path = tmp_path / "picture.ppm"
    path.write_bytes(as_ppm(frames[0], comment=b"# a comment\n"))
    rows = read_rows(run(program, rn_small_bundle / "score.any.fp32.onnx", path))
    assert rows == [pytest.approx(expected[0], abs=TOLERANCE)]


def test_a_stream_of_pictures_may_change_its_size(program, rn_small_bundle, frames, expected):
    data = b"".join(map(as_ppm, frames))
    rows = read_rows(run(program, rn_small_bundle / "score.any.fp32.onnx", "-", data=data))
    assert rows == [pytest.approx(row, abs=TOLERANCE) for row in expected]


def test_raw_frames_of_a_camera(program, rn_small_bundle):
    """Also the graph for one size: it has all its indices folded."""
    frame = np.asarray(Image.radial_gradient("L").resize((640, 480)).convert("RGB"))
    score = Scorer(rn_small_bundle, engine="onnxruntime-cpu").score(frame).score
    for graph in ("score.any.fp32.onnx", "score.480x640.fp32.onnx"):
        done = run(program, rn_small_bundle / graph, "-", 480, 640, data=frame.tobytes() * 2)
        rows = read_rows(done)
        assert [row[1] for row in rows] == pytest.approx([score, score], abs=TOLERANCE)


@pytest.mark.parametrize(
    ("graph", "arguments", "data", "reason"),
    [
        ("score.any.fp32.onnx", ["-"], b"GIF89a", "no binary PPM"),
        ("score.any.fp32.onnx", ["-"], b"P6\n300 300\n65535\n", "not of 8 bits"),
        ("score.any.fp32.onnx", ["-"], b"P6\n300 300\n255\nabc", "cut off"),
        ("score.any.fp32.onnx", ["-", "100", "300"], b"abc", "side is 100"),
        ("score.any.fp32.onnx", ["-", "300", "wide"], b"abc", "side is wide"),
        ("score.any.fp32.onnx", ["gone.ppm"], None, "gone.ppm: cannot be opened"),
        ("score.any.fp32.onnx", [], None, "usage:"),
        (
            "frame.any.fp32.onnx",
            ["-"],
            as_ppm(np.zeros((300, 300, 3), np.uint8)),
            "not a score graph",
        ),
        ("gone.onnx", ["-"], b"", "gone.onnx"),
        ("score.480x640.fp32.onnx", ["-"], as_ppm(np.zeros((300, 300, 3), np.uint8)), "dimensions"),
    ],
)
def test_errors_are_one_line(program, rn_small_bundle, graph, arguments, data, reason):
    done = run(program, rn_small_bundle / graph, *arguments, data=data)
    assert done.returncode == 1
    assert reason in done.stderr.decode()
    assert done.stderr.startswith(b"score_frame: ")
    assert done.stderr.count(b"\n") == 1
