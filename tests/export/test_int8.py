"""INT8 exports: calibrated on some pictures, held to the ranking of others, one format per engine."""

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from maclip_export.calibration import (
    CalibrationSet,
    compare_rankings,
    degrade_ranked,
    draw_calibration_views,
    read_calibration,
)
from maclip_export.checkpoints import load_file
from maclip_export.distortions import KINDS
from maclip_export.encoders import build_image_encoder
from maclip_export.errors import CalibrationError, VerificationError
from maclip_export.export import export_bundle
from maclip_export.graphs import trace_graph
from maclip_export.image_graphs import NAMES, GraphPlan
from maclip_export.int8 import quantise_graph
from maclip_export.prompts import PUBLISHED_PROMPTS
from maclip_export.sensitivity import rank_layers
from maclip_export.verification import draw_scene, draw_views
from maclip_runtime.method.geometry import ViewGeometry

GEOMETRY = ViewGeometry()
PICTURES = CalibrationSet(
    (draw_scene(300, 400, seed=1), draw_scene(400, 300, seed=2)), (draw_scene(300, 300, seed=3),)
)


@pytest.fixture
def traced(checkpoint_file, arch):
    import torch

    encoder = build_image_encoder(load_file(checkpoint_file(arch)).model, GEOMETRY)
    return trace_graph(encoder, torch.from_numpy(draw_views(GEOMETRY, 2)), NAMES)


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
def test_weights_are_signed_and_symmetric_per_channel(traced, target):
    model = quantise_graph(traced, draw_calibration_views(PICTURES, GEOMETRY), target)
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = name_weights(model)
    assert len(weights) >= 10
    for base in weights:
        quantised = initializers[f"{base}_quantized"]
        assert quantised.data_type == onnx.TensorProto.INT8
        scales = onnx.numpy_helper.to_array(initializers[f"{base}_scale"])
        assert scales.size in (quantised.dims[0], quantised.dims[-1])  # Conv, and MatMul
        assert not onnx.numpy_helper.to_array(initializers[f"{base}_zero_point"]).any()


def test_tensorrts_form_is_signed_without_zero_points_or_integer_biases(traced):
    model = quantise_graph(traced, draw_calibration_views(PICTURES, GEOMETRY), "tensorrt")
    types = types_by_operation(model, "QuantizeLinear") | types_by_operation(
        model, "DequantizeLinear"
    )
    assert types == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT8}
    for tensor in model.graph.initializer:
        if tensor.name.endswith("zero_point"):
            assert not onnx.numpy_helper.to_array(tensor).any()


@pytest.mark.parametrize("arch", ["rn-small"])
def test_the_cpus_form_is_unsigned_with_integer_biases_and_no_pools(traced):
    model = quantise_graph(traced, draw_calibration_views(PICTURES, GEOMETRY), "cpu")
    types = types_by_operation(model, "QuantizeLinear") | types_by_operation(
        model, "DequantizeLinear"
    )
    assert {onnx.TensorProto.UINT8, onnx.TensorProto.INT8, onnx.TensorProto.INT32} < types
    assert "AveragePool" not in {node.op_type for node in model.graph.node}


def test_what_makes_the_features_stays_float32(traced):
    model = quantise_graph(traced, draw_calibration_views(PICTURES, GEOMETRY), "cpu")
    (output,) = model.graph.output
    makers = {name: node for node in model.graph.node for name in node.output}
    last = makers[output.name]
    weights = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert any(weights.get(name) == onnx.TensorProto.FLOAT for name in last.input)


def test_features_stay_near_the_float32_ones(traced):
    views = draw_views(GEOMETRY, 4)
    for target in ("cpu", "tensorrt"):
        model = quantise_graph(traced, draw_calibration_views(PICTURES, GEOMETRY), target)
        features, expected = (
            onnxruntime.InferenceSession(
                graph.SerializeToString(), providers=["CPUExecutionProvider"]
            ).run(None, {"pixels": views})[0]
            for graph in (model, traced)
        )
        error = np.linalg.norm(features - expected) / np.linalg.norm(expected)
        assert error < 0.15  # measured: 0.02 to 0.06 with random weights


def test_layers_are_ranked_by_what_they_cost(traced):
    model = quantise_graph(traced, draw_calibration_views(PICTURES, GEOMETRY), "cpu")
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
    plan = GraphPlan(["fp32", "int8"], calibration=PICTURES)
    with pytest.raises(VerificationError, match=r"less than 0.99; .*hurt most.*blocks\.") as caught:
        export_bundle(
            load_file(checkpoint_file("rn-small")),
            tmp_path / "b",
            PUBLISHED_PROMPTS,
            plan,
            text_encoder=False,
        )
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_ranking_is_the_rank_correlation_and_the_differences():
    ranking = compare_rankings([0.1, 0.4, 0.3, 0.9], [0.1, 0.3, 0.4, 0.8])
    assert ranking.srcc == pytest.approx(0.8)
    assert ranking.mean_difference == pytest.approx(0.025)
    assert ranking.largest_difference == pytest.approx(0.1)
    assert ranking.pictures == 4


def test_pictures_are_calibrated_on_or_ranked_never_both(tmp_path):
    for number in range(30):
        Image.fromarray(draw_scene(240, 700, seed=number)).save(tmp_path / f"{number:02}.png")
    pictures = read_calibration(tmp_path, GEOMETRY)
    assert (len(pictures.measured), len(pictures.ranked)) == (16, 6)
    assert all(min(f.shape[:2]) >= 224 for f in (*pictures.measured, *pictures.ranked))
    measured = {frame.tobytes() for frame in pictures.measured}
    assert not measured & {frame.tobytes() for frame in pictures.ranked}
    assert len(list(degrade_ranked(pictures))) == 6 * (1 + 2 * len(KINDS))


def write_nothing(directory):
    pass


def write_one(directory):
    Image.new("RGB", (300, 300)).save(directory / "one.png")


def write_broken(directory):
    write_one(directory)
    (directory / "two.png").write_text("no picture")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_nothing, "at least 2"),
        (write_one, "at least 2"),
        (write_broken, "two.png: not a pic"),
    ],
)
def test_calibration_pictures_that_do_not_do(tmp_path, write, message):
    write(tmp_path)
    with pytest.raises(CalibrationError, match=message):
        read_calibration(tmp_path, GEOMETRY)


def test_the_command_asks_for_calibration_pictures(maclip, checkpoint_file, tmp_path):
    arguments = ("export", "--checkpoint", checkpoint_file("rn-small"), "--output", tmp_path / "b")
    done = maclip(*arguments, "--precision", "fp32,int8")
    assert done.returncode == 2
    assert "needs --calibration DIR" in done.stderr
    done = maclip(*arguments, "--precision", "int8", "--calibration", tmp_path / "nothing")
    assert done.returncode == 2
    assert "no such directory" in done.stderr
