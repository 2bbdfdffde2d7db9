"""What comes from outside, and what may become of it: a result that makes sense, or one line of error.

A boundary is a function of bytes that raises AssertionError, or lets through whatever the project's
code let through, where that is broken. `BOUNDARIES` names them all; a file `regressions/NAME-*.bin` is
replayed by the boundary of that name in every test run.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema
import numpy as np
import onnx
from PIL import Image

from maclip_runtime import MaclipError, PictureError, Scorer, open_bundle
from maclip_runtime.bundle.schema import make_schema
from maclip_runtime.sources.pictures import read_frame
from maclip_runtime.sources.raw import RawFormat, RawSource
from maclip_runtime.sources.source import Notice
from maclip_runtime.vocabulary import PIXEL_FORMATS

_MOST_PIXELS = 500_000  # so that a header's word for a huge picture costs a fuzzer no time
_FEATURES = 256  # of the demo bundle, whose prompts the tiny encoder is scored with


def check_picture(data: bytes) -> None:
    """A picture as bytes, plainly and with its EXIF orientation."""
    with warnings.catch_warnings(), mock.patch.object(Image, "MAX_IMAGE_PIXELS", _MOST_PIXELS):
        warnings.simplefilter("ignore")
        for orientation in (False, True):
            with _one_line(PictureError):
                frame = read_frame(data, exif_orientation=orientation)
                assert frame.dtype == np.uint8
                assert frame.ndim == 3
                assert frame.shape[2] == 3
                assert frame.size > 0


def check_manifest(data: bytes) -> None:
    """A manifest: what the reader takes is what the published schema takes, and opens or is refused."""
    with make_tiny_bundle() as root:
        (root / "manifest.json").write_bytes(data)
        with _one_line():
            open_bundle(root)
            written = json.loads(data)
            if written["schema"] == 2:
                _validator().validate(written)
            score_with(root)


def check_prompts(data: bytes) -> None:
    """A prompts.npz whose checksum is right."""
    with make_tiny_bundle() as root:
        _put(root, "prompts.npz", data)
        with _one_line():
            score_with(root)


def check_graph(data: bytes) -> None:
    """An image encoder whose checksum is right."""
    with make_tiny_bundle() as root:
        _put(root, "image_encoder.fp32.onnx", data)
        with _one_line():
            score_with(root)


def check_raw_stream(data: bytes) -> None:
    """Raw frames: the first bytes choose the format, the others are the stream."""
    height, width, pixels, padding, *_ = (*data[:4], 0, 0, 0, 0)
    with _one_line():
        layout = RawFormat(height % 9, width % 9, PIXEL_FORMATS[pixels % len(PIXEL_FORMATS)])
        if padding % 3:
            layout = RawFormat(
                layout.height, layout.width, layout.pixel_format, layout.row_bytes + padding % 3
            )
        source = RawSource("-", io.BytesIO(data[4:]), layout, 25.0)
        frames = 0
        for item in source:
            if isinstance(item, Notice):
                continue
            assert item.pixels.shape == (layout.height, layout.width, 3)
            assert item.pixels.dtype == np.uint8
            frames += 1
        assert frames == len(data[4:]) // layout.frame_bytes


BOUNDARIES: dict[str, Callable[[bytes], None]] = {
    "picture": check_picture,
    "manifest": check_manifest,
    "prompts": check_prompts,
    "graph": check_graph,
    "raw_stream": check_raw_stream,
}


@functools.cache
def read_demo_manifest() -> dict[str, Any]:
    """The manifest of a bundle with the demo's prompts and an encoder of a few kilobytes."""
    demo = open_bundle("demo").path
    manifest: dict[str, Any] = json.loads((demo / "manifest.json").read_text(encoding="utf-8"))
    for file in manifest["files"]:
        if file["role"] == "image_encoder":
            _describe(file, write_tiny_encoder())
    return manifest


@functools.cache
def read_demo_prompts() -> bytes:
    """The demo bundle's prompts.npz."""
    return (open_bundle("demo").path / "prompts.npz").read_bytes()


@functools.cache
def write_tiny_encoder() -> bytes:
    """Mean colours times a matrix: so small that mutations meet the graph's structure, not weights."""
    weights = np.random.default_rng(0).standard_normal((3, _FEATURES)).astype(np.float32)
    node = onnx.helper.make_node
    graph = onnx.helper.make_graph(
        [
            node("GlobalAveragePool", ["pixels"], ["pooled"]),
            node("Flatten", ["pooled"], ["colours"]),
            node("MatMul", ["colours", "weights"], ["features"]),
        ],
        "tiny",
        [onnx.helper.make_tensor_value_info("pixels", 1, ["pictures", 3, "height", "width"])],
        [onnx.helper.make_tensor_value_info("features", 1, ["pictures", _FEATURES])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, ir_version=8, opset_imports=opset).SerializeToString()


@contextmanager
def _one_line(expected: type[MaclipError] = MaclipError) -> Iterator[None]:
    """Let an error of the project's own pass, if it is one line that says something."""
    try:
        yield
    except expected as error:
        text = str(error)
    else:
        return
    assert text.strip()
    assert len(text.splitlines()) == 1, text


def score_with(root: Path) -> None:
    """Score a frame with a bundle: a finite score, if any."""
    with Scorer(root, engine="onnxruntime-cpu", threads=1) as scorer:
        result = scorer.score(_frame())
        assert np.isfinite([result.score, result.similarity, result.magnitude, result.weight]).all()


@functools.cache
def _frame() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (224, 224, 3), np.uint8)


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(make_schema())


@contextmanager
def make_tiny_bundle() -> Iterator[Path]:
    """A bundle that scores, in a folder of its own for as long as the block lasts."""
    root = Path(tempfile.mkdtemp(prefix="maclip-fuzz-"))
    try:
        (root / "prompts.npz").write_bytes(read_demo_prompts())
        (root / "image_encoder.fp32.onnx").write_bytes(write_tiny_encoder())
        (root / "manifest.json").write_text(json.dumps(read_demo_manifest()), encoding="utf-8")
        yield root
    finally:
        shutil.rmtree(root)


def _put(root: Path, name: str, data: bytes) -> None:
    """Put a file into a bundle with its size and checksum right."""
    (root / name).write_bytes(data)
    manifest = json.loads(json.dumps(read_demo_manifest()))
    for file in manifest["files"]:
        if file["path"] == name:
            _describe(file, data)
    (root / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _describe(file: dict[str, Any], data: bytes) -> None:
    file["size"], file["sha256"] = len(data), hashlib.sha256(data).hexdigest()
