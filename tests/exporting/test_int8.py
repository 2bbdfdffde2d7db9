"""INT8 exports: calibrated on some pictures, held to the ranking of others, one format per engine."""

import copy
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from maclip_export import image_graphs
from maclip_export.checkpoints import load_file
from maclip_export.errors import VerificationError
from maclip_export.export import export_bundle
from maclip_export.graphs.running import open_graph
from maclip_export.precision.conversion import quantise_encoder
from maclip_export.precision.half import convert_to_half
from maclip_export.precision.int8 import quantise_graph
from maclip_export.precision.sensitivity import rank_layers
from maclip_export.prompts import PUBLISHED_PROMPTS
from maclip_export.quality.calibration import (
    CalibrationSet,
    draw_calibration_views,
    read_calibration,
)
from maclip_export.scenes import draw_scene, draw_views
from maclip_export.selection import GraphSelection
from maclip_runtime import open_bundle
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.plans import PlanOptions, build_plan, make_profile

ROOT = Path(__file__).parents[2]
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


def list_makers(model):
    """The node that makes each tensor."""
    return {name: node for node in model.graph.node for name in node.output}


def name_maker(makers, tensor):
    return makers[tensor].op_type if tensor in makers else None


@pytest.mark.parametrize("arch", ["rn-small"])
def test_nothing_parts_a_convolution_from_its_sum_and_relu(quantised, arch):
    """TensorRT's pattern for residual blocks: of a sum only the residual branch is quantised."""
    model = quantised(arch, "tensorrt")
    makers = list_makers(model)
    sums = [n for n in model.graph.node if n.op_type == "Add" and n.input[0] in makers]
    sums = [n for n in sums if name_maker(makers, n.input[0]) == "Conv"]
    assert len(sums) == 4  # one a block
    for node in sums:
        branch = makers[node.input[0]]
        assert ".conv3." in makers[branch.input[1]].input[0]  # and not the shortcut
        assert name_maker(makers, node.input[1]) == "DequantizeLinear"
        (reader,) = [n for n in model.graph.node if node.output[0] in n.input]
        assert reader.op_type == "Relu"


@pytest.mark.parametrize("arch", ["rn-small"])
def test_only_what_layers_read_is_quantised(quantised, arch):
    """No pair stands between a convolution and its ReLU; all but the stem reads 8 bits."""
    model = quantised(arch, "tensorrt")
    makers = list_makers(model)
    read = {name_maker(makers, n.input[0]) for n in model.graph.node if n.op_type == "Relu"}
    assert read == {"Conv", "Add"}
    layers = [n for n in model.graph.node if n.op_type in ("Conv", "AveragePool")]
    stem, rest = layers[:3], layers[3:]
    assert [n.input[1] for n in stem] == ["stem.0.weight", "stem.2.weight", "stem.4.weight"]
    assert {name_maker(makers, n.input[0]) for n in rest} == {"DequantizeLinear"}
    written = {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            written.setdefault(name_maker(makers, node.input[0]), []).append(node)
    assert written.keys() == {"Relu", "AveragePool", "Conv"}
    for node in written["Conv"]:  # the shortcuts, which are the residual branches there
        shortcut = makers[node.input[0]]
        assert ".shortcut." in makers[shortcut.input[1]].input[0]


def test_what_is_not_quantised_for_tensorrt_is_half(quantised, arch):
    model, float32_nodes = convert_to_half(quantised(arch, "tensorrt"), [draw_views(GEOMETRY, 2)])
    for node in model.graph.node:
        scales = types_by_operation(model, "QuantizeLinear")
        if node.op_type in ("Conv", "Gemm") and node.name not in float32_nodes:
            assert onnx.TensorProto.FLOAT not in types_of_inputs(model, node)
    assert scales == {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8} | (
        # A normalisation is float32, and so is the quantisation of what it gives: no Cast between.
        {onnx.TensorProto.FLOAT} if arch == "vit-small" else set()
    )
    features, expected = (
        open_graph(graph).run(None, {"pixels": draw_views(GEOMETRY, 4)})[0]
        for graph in (model, quantised(arch, "tensorrt"))
    )
    # Half rounds what 8 bits round 16 times as coarsely; measured: 0.01.
    assert np.linalg.norm(features - expected) / np.linalg.norm(expected) < 0.04


def types_of_inputs(model, node):
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    return {types[name] for name in node.input if name in types}


@pytest.mark.parametrize("arch", ["rn-small"])
@pytest.mark.parametrize("gain", [1e-6, 1e4])
def test_ranges_that_half_cannot_hold_cost_no_accuracy(traced, arch, gain):
    """Scales are rounded to what half has before the weights are, and what overflows stays float32."""
    model = copy.deepcopy(traced)
    factors = {"blocks.2.conv2.weight": gain, "blocks.2.conv2.bias": gain}
    for tensor in model.graph.initializer:
        factor = factors.get(tensor.name, 1 / gain if tensor.name == "blocks.2.conv3.weight" else 1)
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and factor != 1:
            scaled = values * np.float32(factor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(scaled, tensor.name))
    batches = draw_calibration_views(PICTURES, GEOMETRY)
    narrow = quantise_graph(model, batches, "tensorrt")
    narrow, float32_nodes = convert_to_half(narrow, [draw_views(GEOMETRY, 3)])
    assert any("loses" in why or "overflows" in why for why in float32_nodes.values())
    views = draw_views(GEOMETRY, 4)
    features, expected = (
        open_graph(graph).run(None, {"pixels": views})[0] for graph in (narrow, traced)
    )
    error = np.linalg.norm(features - expected) / np.linalg.norm(expected)
    assert error < 0.15  # as without the gain
    makers = list_makers(narrow)
    for node in narrow.graph.node:  # no Cast parts a layer from its quantisation
        if node.op_type == "QuantizeLinear":
            assert name_maker(makers, node.input[0]) != "Cast"


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


def find_file(bundle, path):
    (found,) = (file for file in bundle.manifest.files if file.path == path)
    return found


@pytest.mark.parametrize("path", ["frame.any.int8.onnx", "dense.any.int8.onnx"])
def test_the_ranking_of_the_graph_that_tensorrt_builds_is_measured(demo_bundle, path):
    bundle = open_bundle(demo_bundle)
    own = find_file(bundle, path).agreement
    assert own.srcc >= 0.99
    assert own.pictures > 30
    assert own != find_file(bundle, "image_encoder.int8.onnx").agreement


def test_an_export_whose_tensorrt_graph_ranks_otherwise_fails(monkeypatch, tmp_path):
    """The CPU's graph is right, the other one is spoilt: weights that are read a quarter too large."""

    def quantise(*args, **kwargs):
        graphs = quantise_encoder(*args, **kwargs)
        views = copy.deepcopy(graphs.views)
        for tensor in views.graph.initializer:
            if ".conv" in tensor.name and tensor.name.endswith("_scale.half"):
                spoilt = onnx.numpy_helper.to_array(tensor) * np.float16(1.25)
                tensor.CopyFrom(onnx.numpy_helper.from_array(spoilt, tensor.name))
        return replace(graphs, views=views)

    monkeypatch.setattr(image_graphs, "quantise_encoder", quantise)
    checkpoint = load_file(ROOT / "demo" / "demo-encoder.pt")
    pictures = read_calibration(ROOT / "samples", checkpoint.views)
    few = CalibrationSet(pictures.measured[:1], (pictures.ranked[0][:224, :352],))  # 3 views each
    selection = GraphSelection(["int8"], frames=[None], calibration=few)
    with pytest.raises(VerificationError, match="of TensorRT's graph rank .* hurt most"):
        export_bundle(checkpoint, tmp_path / "b", PUBLISHED_PROMPTS, selection, text_encoder=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["frame.any.int8.onnx", "dense.any.int8.onnx"])
def test_tensorrt_rtx_builds_it(demo_bundle, tmp_path, path):
    bundle = open_bundle(shutil.copytree(demo_bundle, tmp_path / "b.maclip"))
    graph = find_file(bundle, path)
    profile = make_profile(graph, ((224, 224), (480, 640), (480, 640)), (4, 14))
    plan = build_plan(
        bundle, graph, "tensorrt-rtx", PlanOptions(profile, compute_capabilities=["86"])
    )
    assert (plan.precision, plan.role, plan.agreement) == ("int8", graph.role, graph.agreement)
