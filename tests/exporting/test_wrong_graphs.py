"""Graphs that compute something else than their manifest says: refused in one line, never a wrong score."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest

from maclip_export.scenes import draw_scene
from maclip_runtime import BundleError, EngineError, Scorer, open_bundle
from maclip_runtime.bundle.staging import add_file

ENCODER = "image_encoder.fp32.onnx"


@pytest.fixture
def bundle(tmp_path):
    """The demo bundle with its image encoder alone."""
    return shutil.copytree(open_bundle("demo").path, tmp_path / "wrong.maclip")


def put_encoder(
    path, *, taking="pixels", kind=onnx.TensorProto.FLOAT, giving="features", weights=None, last=()
):
    """Put mean colours times a matrix in the encoder's place, with a right checksum.

    last: nodes between the product and the output, of which each takes the one before's output.
    """
    opened = open_bundle(path)
    width = opened.manifest.architecture.features
    if weights is None:
        weights = np.random.default_rng(0).standard_normal((3, width)).astype(np.float32)
    node = onnx.helper.make_node
    nodes = [
        node("Cast", [taking], ["wide"], to=onnx.TensorProto.FLOAT),
        node("GlobalAveragePool", ["wide"], ["pooled"]),
        node("Flatten", ["pooled"], ["colours"]),
        node("MatMul", ["colours", "weights"], ["out0"]),
        *(node(name, [f"out{n}"], [f"out{n + 1}"], **to) for n, (name, to) in enumerate(last)),
        node("Identity", [f"out{len(last)}"], [giving]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "wrong",
        [onnx.helper.make_tensor_value_info(taking, kind, ["views", 3, 224, 224])],
        [onnx.helper.make_tensor_value_info(giving, 1, ["views", weights.shape[1]])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=opset)
    entry = next(file for file in opened.manifest.files if file.path == ENCODER)
    add_file(opened, replace(entry, multiply_adds=None), model.SerializeToString())


def test_a_graph_that_is_as_the_manifest_says_is_taken(bundle):
    put_encoder(bundle)
    result = Scorer(bundle, engine="onnxruntime-cpu").score(draw_scene(300, 400))
    assert 0 < result.score < 10


@pytest.mark.parametrize(
    ("difference", "reason"),
    [
        ({"taking": "picture"}, "has the inputs picture, not pixels"),
        ({"giving": "logits"}, "has the outputs logits, not features"),
        ({"kind": onnx.TensorProto.FLOAT16}, r"has the input pixels tensor\(float16\)"),
        ({"weights": np.ones((3, 7), np.float32)}, r"has the output features float32 \[views, 7\]"),
    ],
)
def test_a_graph_with_other_tensors_is_refused_when_it_is_opened(bundle, difference, reason):
    put_encoder(bundle, **difference)
    with pytest.raises(BundleError, match=reason) as caught:
        Scorer(bundle, engine="onnxruntime-cpu")
    assert ENCODER in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("difference", "reason"),
    [
        (
            {"last": [("ReduceMean", {"axes": [0]})]},
            r"gave features float32 \(1, \d+\), not float32",
        ),
        ({"last": [("Log", {})]}, "not finite numbers"),
        ({"weights": np.full((3, 256), np.inf, np.float32)}, "not finite numbers"),
        ({"weights": np.zeros((3, 256), np.float32) + 3e38}, "no finite number|not finite numbers"),
    ],
    ids=["one row for all views", "logarithms of negative numbers", "infinite weights", "overflow"],
)
def test_a_graph_that_gives_something_else_gives_no_score(
    maclip, bundle, pictures, difference, reason
):
    width = open_bundle(bundle).manifest.architecture.features
    if "weights" in difference:
        difference = {"weights": np.resize(difference["weights"], (3, width))}
    put_encoder(bundle, **difference)
    with pytest.raises(EngineError, match=reason):
        Scorer(bundle, engine="onnxruntime-cpu").score(pictures / "512x384.png")
    done = maclip("score", pictures / "512x384.png", "--bundle", bundle, "--format", "jsonl")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "NaN" not in done.stdout
    assert not [json.loads(line) for line in done.stdout.splitlines()]
