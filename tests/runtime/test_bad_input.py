"""Bad input: one clear line that names the file, the designed exit status, nothing half-written."""

import json
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image


def write_bomb(path):
    """A PNG of 40000 x 40000 pixels in a few bytes: only its header is ever looked at."""
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunks = b""
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        crc = zlib.crc32(kind + data)
        chunks += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def write_truncated_jpeg(path):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    Image.fromarray(noise).save(path, quality=90)
    path.write_bytes(path.read_bytes()[:20_000])


BAD_PICTURES = {
    "missing.png": (None, "no such file"),
    "empty.png": (lambda path: path.touch(), "empty file"),
    "text.jpg": (lambda path: path.write_text("hello"), "not a picture in a known format"),
    "truncated.jpg": (write_truncated_jpeg, "cannot be read: image file is truncated"),
    "thin.png": (lambda path: Image.new("RGB", (1, 5000)).save(path), "too narrow"),
    "bomb.png": (write_bomb, "more than 128 megapixels"),
    "folder.png": (lambda path: path.mkdir(), "no pictures in this directory"),
    "nothing*.png": (None, "no file matches"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_picture_is_one_line_and_the_others_are_scored(
    maclip, rn_small_bundle, pictures, tmp_path, name
):
    write, reason = BAD_PICTURES[name]
    bad = tmp_path / name
    if write:
        write(bad)
    good = pictures / "224x224.png"
    done = maclip("score", bad, good, "--bundle", rn_small_bundle, "--format", "json")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"maclip: {bad}: ")
    assert reason in line
    failed, scored = json.loads(done.stdout)
    assert failed.keys() == {"path", "error"}
    assert failed["path"] == str(bad)
    assert scored["path"] == str(good)


def test_only_bad_pictures_in_a_table(maclip, rn_small_bundle, tmp_path):
    done = maclip("score", tmp_path / "missing.png", "--bundle", rn_small_bundle)
    assert done.returncode == 1
    assert done.stdout == ""


def test_one_pixel_is_scored_and_said_to_be_outside_the_method(maclip, rn_small_bundle, tmp_path):
    Image.new("RGB", (1, 1), "red").save(tmp_path / "one.png")
    done = maclip("score", tmp_path / "one.png", "--bundle", rn_small_bundle, "--format", "json")
    assert done.returncode == 0
    assert "enlarged: outside the published method" in done.stderr
    assert json.loads(done.stdout)[0]["enlarged"] is True


def flip_a_byte(bundle):
    path = bundle / "image_encoder.fp32.onnx"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)


def edit_manifest(bundle, old, new):
    path = bundle / "manifest.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


BAD_BUNDLES = {
    "missing": (shutil.rmtree, "no such bundle"),
    "flipped byte": (flip_a_byte, "checksum differs"),
    "lost file": (lambda bundle: (bundle / "prompts.npz").unlink(), "missing from the bundle"),
    "newer schema": (lambda b: edit_manifest(b, '"schema": 2', '"schema": 3'), "upgrade"),
    "outside": (lambda b: edit_manifest(b, '"prompts.npz"', '"../prompts.npz"'), "points outside"),
    "absolute": (lambda b: edit_manifest(b, '"prompts.npz"', '"/prompts.npz"'), "points outside"),
}


@pytest.mark.parametrize("damage", BAD_BUNDLES)
def test_a_bad_bundle_is_one_line_and_status_2(maclip, rn_small_bundle, pictures, tmp_path, damage):
    spoil, reason = BAD_BUNDLES[damage]
    bundle = shutil.copytree(rn_small_bundle, tmp_path / "b.maclip")
    spoil(bundle)
    output = tmp_path / "scores.json"
    done = maclip("score", pictures, "--bundle", bundle, "--output", output)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"maclip: {bundle}")
    assert reason in line
    assert not output.exists()


@pytest.mark.parametrize(
    "arguments", [["score"], ["score", "x.png", "--format", "xml"], ["frobnicate"], ["inspect"]]
)
def test_wrong_usage_is_status_2(maclip, rn_small_bundle, arguments):
    done = maclip(*arguments, MACLIP_BUNDLE=str(rn_small_bundle))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_output_that_cannot_be_written_is_said_before_scoring(
    maclip, rn_small_bundle, pictures, tmp_path
):
    output = tmp_path / "no such directory" / "scores.csv"
    done = maclip("score", pictures, "--bundle", rn_small_bundle, "--output", output)
    assert done.returncode == 2
    assert "no such directory" in done.stderr


@pytest.mark.parametrize("size", ["99999x99999", "10x70000"])
def test_a_frame_that_cannot_be_drawn_is_refused_at_once(maclip, rn_small_bundle, size):
    done = maclip("bench", rn_small_bundle, "--frame", size)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"--frame {size}: larger than 50 megapixels" in line


@pytest.mark.parametrize("threads", ["0", "5000", "3000000000"])
def test_threads_have_a_range(maclip, rn_small_bundle, pictures, threads):
    done = maclip("score", pictures, "--bundle", rn_small_bundle, "--threads", threads)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
