"""INT8 exports: calibrated on some pictures, held to the ranking of others, one format per engine."""

import copy
from functools import cache

import numpy as np
import onnx
import pytest

from maclip_export.checkpoints import load_file
from maclip_export.errors import VerificationError
from maclip_export.export import export_bundle
from maclip_export.graphs.running import open_graph
from maclip_export.precision.int8 import quantise_graph
from maclip_export.precision.sensitivity import rank_layers
from maclip_export.prompts import PUBLISHED_PROMPTS
from maclip_export.quality.calibration import CalibrationSet, draw_calibration_views
from maclip_export.scenes import draw_scene, draw_views
from maclip_export.selection import GraphSelection
from maclip_runtime.method.geometry import ViewGeometry

GEOMETRY = ViewGeometry()
PICTURES = CalibrationSet(
    (draw_scene(300, 400, seed=1), draw_scene(400, 300, seed=2)), (draw_scene(300, 300, seed=3),)
)


@pytest.fixture
def traced(encoder_graph, arch):
    return encoder_graph(arch)


@pytest.fixture(scope="session")
def quantised(encoder_graph):
    """The graph of a small encoder in INT8; read it only, it is made once."""
    batches = draw_calibration_views(PICTURES, GEOMETRY)
    return cache(lambda arch, target: quantise_graph(encoder_graph(arch), batches, target))


def types_by_operation(model, operation):
    """Element types of the initializers that nodes of an operation read."""
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    return {
        types[name]
        for node in model.graph.node
        if node.op_type == operation
        for name in node.input
        if name in types
    }


def name_weights(model):
    """The weights that were quantised, in graph order."""
    return [
        tensor.name.removesuffix("_quantized")
        for tensor in model.graph.initializer
        if tensor.name.endswith("_quantized") and len(tensor.dims) >= 2
    ]


@pytest.mark.parametrize("target", ["cpu", "tensorrt"])
def test_weights_are_signed_and_symmetric_per_channel(quantised, arch, target):
    model = quantised(arch, target)
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = name_weights(model)
    assert len(weights) >= 10
    for base in weights:
        quantised = initializers[f"{base}_quantized"]
        assert quantised.data_type == onnx.TensorProto.INT8
        scales = onnx.numpy_helper.to_array(initializers[f"{base}_scale"])
        assert scales.size in (quantised.dims[0], quantised.dims[-1])  # Conv, and MatMul
        assert not onnx.numpy_helper.to_array(initializers[f"{base}_zero_point"]).any()


def test_tensorrts_form_is_signed_without_zero_points_or_integer_biases(quantised, arch):
    model = quantised(arch, "tensorrt")
    types = types_by_operation(model, "QuantizeLinear") | types_by_operation(
        model, "DequantizeLinear"
    )
    assert types == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT8}
    for tensor in model.graph.initializer:
        if tensor.name.endswith("zero_point"):
            assert not onnx.numpy_helper.to_array(tensor).any()


@pytest.mark.parametrize("arch", ["rn-small"])
def test_the_cpus_form_is_unsigned_with_integer_biases_and_no_pools(quantised, arch):
    model = quantised(arch, "cpu")
    types = types_by_operation(model, "QuantizeLinear") | types_by_operation(
        model, "DequantizeLinear"
    )
    assert {onnx.TensorProto.UINT8, onnx.TensorProto.INT8, onnx.TensorProto.INT32} < types
    assert "AveragePool" not in {node.op_type for node in model.graph.node}


def test_what_makes_the_features_stays_float32(quantised, arch):
    model = quantised(arch, "cpu")
    (output,) = model.graph.output
    makers = {name: node for node in model.graph.node for name in node.output}
    last = makers[output.name]
    weights = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert any(weights.get(name) == onnx.TensorProto.FLOAT for name in last.input)


def test_features_stay_near_the_float32_ones(quantised, traced, arch):
    views = draw_views(GEOMETRY, 4)
    for target in ("cpu", "tensorrt"):
        model = quantised(arch, target)
        features, expected = (
            open_graph(graph).run(None, {"pixels": views})[0] for graph in (model, traced)
        )
        error = np.linalg.norm(features - expected) / np.linalg.norm(expected)
        assert error < 0.15  # measured: 0.02 to 0.06 with random weights


def test_layers_are_ranked_by_what_they_cost(quantised, traced, arch):
    model = copy.deepcopy(quantised(arch, "cpu"))
    # Make one layer much worse than the rest: what it reads of its weights is half as large again.
    weights = name_weights(model)
    victim = weights[len(weights) // 2]
    for tensor in model.graph.initializer:
        if tensor.name == f"{victim}_scale":
            spoilt = onnx.numpy_helper.to_array(tensor) * np.float32(1.5)
            tensor.CopyFrom(onnx.numpy_helper.from_array(spoilt, tensor.name))
    layers = rank_layers(traced, model, draw_views(GEOMETRY, 2))
    assert layers[0].weight == victim
    assert layers[0].gain > 3 * layers[1].gain


def test_an_export_below_the_ranking_fails_and_names_the_layers(checkpoint_file, tmp_path):
    """Random weights rank nothing, so their INT8 scores cannot keep the order."""
    selection = GraphSelection(["fp32", "int8"], calibration=PICTURES)
    with pytest.raises(VerificationError, match=r"less than 0.99; .*hurt most.*blocks\.") as caught:
        export_bundle(
            load_file(checkpoint_file("rn-small")),
            tmp_path / "b",
            PUBLISHED_PROMPTS,
            selection,
            text_encoder=False,
        )
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
