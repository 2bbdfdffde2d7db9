"""maclip-score gives the JSON lines of `maclip score --format jsonl`."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maclip_runtime import Scorer, open_bundle
from reference.make_images import picture

SAMPLES = Path(__file__).parents[2] / "samples"
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def tool(native_build, onnxruntime_library):
    """Run maclip-score with the demo bundle."""
    demo = open_bundle("demo").path

    def run(*arguments, data=b"", bundle=None):
        words = [
            native_build / "tools" / "maclip-score",
            "--bundle",
            bundle or demo,
            *map(str, arguments),
        ]
        environment = {"MACLIP_ONNXRUNTIME_LIBRARY": onnxruntime_library}
        return subprocess.run(words, input=data, capture_output=True, env=environment)

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of the kinds that JPEG and PNG have, and files that are none."""
    place = tmp_path_factory.mktemp("pictures")
    rgb = picture(np.random.RandomState(2), 300, 260)
    image = Image.fromarray(rgb)
    for sample in SAMPLES.glob("*.jpg"):
        shutil.copy(sample, place)
    image.save(place / "progressive.jpg", progressive=True, quality=80)
    image.save(place / "444.jpg", subsampling=0)
    image.convert("L").save(place / "gray.jpg")
    image.save(place / "rgb.png")
    image.convert("L").save(place / "gray.png")
    image.convert("1").save(place / "1bit.png")
    image.convert("P").save(place / "palette.png")
    image.convert("P").save(place / "transparent palette.png", transparency=3)
    Image.fromarray((rgb[..., 0].astype(np.uint16) << 8) + 77).save(place / "16bit.png")
    alpha = np.dstack([rgb, rgb[..., :1]])
    Image.fromarray(alpha).save(place / "alpha.png")
    Image.fromarray(alpha).convert("LA").save(place / "gray alpha.png")
    image.resize((90, 70)).save(place / "small ü \N{SNOWMAN}.png")
    (place / "empty.jpg").write_bytes(b"")
    (place / "text.png").write_bytes(b"no picture")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    (place / "cut.png").write_bytes(buffer.getvalue()[:5000])
    (place / "cut.jpg").write_bytes((SAMPLES / "coffee.jpg").read_bytes()[:9000])
    (place / "folder.png").mkdir()
    return place


def compare(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        if isinstance(value, dict):
            assert list(found[name]) == list(value)
            assert list(found[name].values()) == pytest.approx(list(value.values()), abs=TOLERANCE)
        elif isinstance(value, float):
            assert found[name] == pytest.approx(value, abs=TOLERANCE)
        else:
            assert found[name] == value


def test_lines_are_those_of_maclip_score(tool, folder, maclip):
    names = sorted(str(path) for path in folder.iterdir() if path.is_file())
    names.append(str(folder / "gone.png"))
    arguments = ("--bundle", "demo", "--engine", "onnxruntime-cpu", "--format", "jsonl")
    expected = maclip("score", *names, *arguments)
    found = tool(*names)
    assert found.returncode == expected.returncode == 1
    lines = found.stdout.decode("ascii").splitlines()
    for line, wanted in zip(lines, expected.stdout.splitlines(), strict=True):
        record, other = json.loads(line), json.loads(wanted)
        if "error" not in other:
            compare(record, other)
            continue
        assert record.keys() == other.keys()
        assert record["path"] == other["path"]
        if other["error"] in ("no such file", "empty file"):
            assert record["error"] == other["error"]
        else:  # a decoder's words
            assert record["error"].split(" (")[0].split(": ")[0] in (
                "cannot be read",
                "not a picture in a known format",
            )
        assert record["path"] in found.stderr.decode()


def test_all_well_is_status_0_and_numbers_are_rounded_as_pythons(tool):
    done = tool("--views", "exact", "--threads", "1", SAMPLES / "coffee.jpg")
    assert done.returncode == 0
    assert done.stderr == b""
    record = json.loads(done.stdout)
    assert record["score"] == float(f"{record['score']:.7g}")
    assert record["preset"] == "native"
    assert record["enlarged"] is False


@pytest.mark.parametrize(
    ("pixel_format", "planes"),
    [("rgb24", 3), ("gray8", 1), ("nv12", 1.5), ("yuv420p", 1.5), ("yuyv422", 2)],
)
def test_raw_frames_on_stdin(tool, pixel_format, planes):
    rng = np.random.RandomState(5)
    frames = [rng.randint(0, 256, int(240 * 320 * planes), np.uint8) for _ in range(2)]
    arguments = ("--size", "240x320", "--pixel-format", pixel_format, "-")
    done = tool(*arguments, data=b"".join(frame.tobytes() for frame in frames))
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["frame"] for record in records] == [0, 1]
    assert [(r["path"], r["width"], r["height"]) for r in records] == [("-", 320, 240)] * 2
    if pixel_format == "rgb24":
        scorer = Scorer("demo", engine="onnxruntime-cpu")
        scores = [scorer.score(frame.reshape(240, 320, 3)).score for frame in frames]
        assert [record["score"] for record in records] == pytest.approx(scores, abs=TOLERANCE)
    done = tool(*arguments, data=frames[0].tobytes() + b"more")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.startswith(b"error: -: the last frame is cut off: 4 of ")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "no picture"),
        (("-",), "raw frames take"),
        (("--size", "240x320", "-"), "raw frames take"),
        (("--size", "240x320", "--pixel-format", "rgb24", "a.png"), "raw frames take"),
        (("--size", "240", "-"), "give HxW"),
        (("--size", "0x5", "-"), "give a number from 1"),
        (("--size", "5xwide", "-"), "give a number from 1"),
        (("--pixel-format", "p010", "-"), "use one of rgb24, bgr24"),
        (("--threads", "-1", "a.png"), "give a number from 1"),
        (("--threads",), "needs a value"),
        (("--colour", "red", "a.png"), "--colour is no option"),
        (("--precision", "int8", "a.png"), "has no image encoder in int8"),
        (("--engine", "tpu", "a.png"), "unknown engine 'tpu'"),
        (("--onnxruntime", "/nowhere.so", "a.png"), "ONNX Runtime cannot be opened"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(tool, arguments, reason):
    done = tool(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert reason in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert done.stdout == b""


def test_an_unusable_bundle_is_status_2(tool, tmp_path):
    done = tool("a.png", bundle=tmp_path)
    assert done.returncode == 2
    assert b"has no manifest.json" in done.stderr
