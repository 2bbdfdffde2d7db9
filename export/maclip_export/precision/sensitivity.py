"""Which layers INT8 hurts most: every quantised layer given back its input and weights as they were, alone.

Works on the quantised graph itself, so no range is measured again: one short session a layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from maclip_export.graphs.running import open_graph
from maclip_runtime.method.pixels import Pixels

_LAYERS = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True)
class LayerGain:
    """How much of the features' relative error goes when this layer alone is left float32."""

    node: str
    weight: str
    gain: float


def rank_layers(
    original: onnx.ModelProto, quantised: onnx.ModelProto, pixels: Pixels
) -> list[LayerGain]:
    """The quantised layers of a graph, those that hurt most first; measured on a few views."""
    model = onnx.ModelProto()
    model.CopyFrom(quantised)
    reference = _run(original, pixels)
    whole = _measure_error(_run(model, pixels), reference)
    floats = {weight.name: weight for weight in original.graph.initializer}
    integers = {weight.name: weight for weight in model.graph.initializer}
    producers = {output: node for node in model.graph.node for output in node.output}
    gains = []
    for index, node in enumerate(list(model.graph.node)):
        before = list(node.input)
        if node.op_type not in _LAYERS or len(before) < 2:
            continue
        activation, weight = (_find_source(name, producers) for name in before[:2])
        weight = weight.removesuffix("_quantized")
        if [activation, weight] == before[:2] or weight not in floats:
            continue
        scale = integers[producers[before[1]].input[1]]  # in half where the layer is
        values = onnx.numpy_helper.to_array(floats[weight])
        dtype = onnx.helper.tensor_dtype_to_np_dtype(scale.data_type)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values.astype(dtype), weight))
        # The quantiser leaves out a ReLU that unsigned numbers imply; back in float32 it is needed.
        clamped = _starts_at_zero(before[0], producers, integers)
        if clamped:
            clamp = onnx.helper.make_node("Relu", [activation], [f"{node.name}.clamped"])
            model.graph.node.insert(index, clamp)
            activation = clamp.output[0]
        target = model.graph.node[index + clamped]
        target.input[:2] = [activation, weight]
        error = _measure_error(_run(model, pixels), reference)
        gains.append(LayerGain(node.name, weight, whole - error))
        target.input[:] = before
        if clamped:
            del model.graph.node[index]
        del model.graph.initializer[-1]
    return sorted(gains, key=lambda layer: -layer.gain)


def _find_source(name: str, producers: dict[str, onnx.NodeProto]) -> str:
    """The tensor before QuantizeLinear and DequantizeLinear; of a weight, the quantised one."""
    dequantise = producers.get(name)
    if dequantise is None or dequantise.op_type != "DequantizeLinear":
        return name
    quantise = producers.get(dequantise.input[0])
    return str(dequantise.input[0] if quantise is None else quantise.input[0])


def _starts_at_zero(
    name: str, producers: dict[str, onnx.NodeProto], integers: dict[str, onnx.TensorProto]
) -> bool:
    """Whether a dequantised tensor can hold nothing below 0: unsigned, with a zero point of 0."""
    dequantise = producers.get(name)
    if dequantise is None or len(dequantise.input) < 3:
        return False
    zero = onnx.numpy_helper.to_array(integers[dequantise.input[2]])
    return zero.dtype == np.uint8 and not zero.any()


def _run(model: onnx.ModelProto, pixels: Pixels) -> NDArray[np.float32]:
    session = open_graph(model)
    features: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: pixels})[0]
    return features


def _measure_error(features: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(features - reference) / np.linalg.norm(reference))
