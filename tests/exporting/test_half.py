"""Half precision: what does not fit stays float32, found by measuring, at both ends of its range."""

import numpy as np
import onnx
import pytest
import torch

from maclip_export.checkpoints import load_file
from maclip_export.encoders import build_image_encoder
from maclip_export.graphs.running import open_graph
from maclip_export.graphs.tracing import trace_graph
from maclip_export.precision.half import convert_to_half, measure_cost, rewrite_in_half
from maclip_export.scenes import draw_extremes, draw_views
from maclip_export.verification import TOLERANCE, compare
from maclip_runtime.method.geometry import ViewGeometry

VIEWS = draw_views(ViewGeometry(), 3)


def scale_inside(encoder, arch, gain):
    """Multiply an activation by `gain` and divide it out again: the same function, another range."""
    with torch.no_grad():
        if arch == "rn-small":
            block = encoder.blocks[2]
            block.conv2.weight *= gain
            block.conv2.bias *= gain  # its ReLU lets the gain through
            block.conv3.weight /= gain
        else:
            block = encoder.blocks[0]
            block.attention.out.weight *= gain
            block.attention.out.bias *= gain
            block.mlp.c_proj.weight *= gain
            block.mlp.c_proj.bias *= (
                gain  # the residual stream is `gain` larger until the next norm
            )


@pytest.fixture
def traced(checkpoint_file, encoder_graph, arch):
    def trace(gain):
        if gain == 1.0:
            return encoder_graph(arch)
        encoder = build_image_encoder(load_file(checkpoint_file(arch)).model, ViewGeometry())
        scale_inside(encoder, arch, gain)
        example = torch.from_numpy(VIEWS[:2])
        return trace_graph(encoder, example, ("pixels", "features", "views"))

    return trace


def run(model, pixels=VIEWS):
    return open_graph(model).run(None, {"pixels": pixels})[0]


def element_types(model):
    return {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def test_an_ordinary_encoder_is_half_but_for_normalisation_and_softmax(traced, arch):
    model = traced(1.0)
    half, float32_nodes = convert_to_half(model, [VIEWS, draw_extremes(ViewGeometry())])
    assert compare(run(half), run(model)) < TOLERANCE["fp16"]
    assert all("wants range" in reason for reason in float32_nodes.values())
    assert half.ByteSize() < 0.55 * model.ByteSize()
    for value in (*half.graph.input, *half.graph.output):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


# Only a ResNet's inner activations can be made faint; a ViT's residual stream would vanish in float32.
@pytest.mark.parametrize(
    ("arch", "gain"), [("rn-small", 2.0**20), ("rn-small", 2.0**-24), ("vit-small", 2.0**20)]
)
def test_an_encoder_beyond_halfs_range_still_exports_correctly(traced, arch, gain):
    model = traced(gain)
    expected = run(model)
    half, float32_nodes = convert_to_half(model, [VIEWS])
    assert compare(run(half), expected) < TOLERANCE["fp16"]
    reasons = " ".join(float32_nodes.values())
    assert ("overflows in half" if gain > 1 else "loses") in reasons
    # It was needed: the same graph with everything in half does not compute the same.
    with np.errstate(over="ignore"):
        naive = run(
            rewrite_in_half(
                model, {name for name, why in float32_nodes.items() if "wants range" in why}
            )
        )
    assert not compare(naive, expected) < TOLERANCE["fp16"]


def test_every_type_is_in_the_graph(traced):
    half, float32_nodes = convert_to_half(traced(1.0), [VIEWS])
    onnx.checker.check_model(half, full_check=True)
    types = element_types(half)
    for node in half.graph.node:
        floats = {types[name] for name in node.input if name in types} & {
            onnx.TensorProto.FLOAT,
            onnx.TensorProto.FLOAT16,
        }
        assert len(floats) < 2, node.name
        if floats:
            assert (floats == {onnx.TensorProto.FLOAT}) == (node.name in float32_nodes), node.name


@pytest.mark.parametrize(
    ("values", "headroom", "fits"),
    [
        ([1.0, -2.0, 3.0], 1, True),
        ([65504.0], 1, True),
        ([65505.0], 1, False),
        ([20000.0], 4, False),
        ([1e-8, 2e-8], 1, False),
        ([0.0, 0.0], 1, True),
        ([float("nan")], 1, False),
    ],
)
def test_the_cost_of_a_tensor(values, headroom, fits):
    cost = measure_cost(np.array(values, np.float32), headroom)
    assert (cost.error <= 1e-3) == fits
