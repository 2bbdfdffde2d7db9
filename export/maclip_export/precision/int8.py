"""INT8: a float32 encoder graph to one with int8 weights and 8-bit activations (QDQ), by ONNX Runtime.

Weights are symmetric, one scale per output channel. The activations' form depends on who runs the graph:

- "cpu": unsigned, with zero points. ONNX Runtime's fast integer kernels want that, and a zero point of 0
  lets a ReLU vanish into the convolution before it. In the signed form only a third to two thirds of
  RN50's convolutions fuse, and the graph is slower than float32 (60 against 48 ms a view; unsigned 14).
  Average pools become depthwise convolutions, whose integer kernel is several times as fast, and biases
  are int32, without which ONNX Runtime 1.17 takes four times as long.
- "tensorrt": signed, without zero points, biases float32, and nothing between a convolution and its ReLU,
  which is all that TensorRT reads.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from maclip_runtime.method.pixels import Pixels

Target = Literal["cpu", "tensorrt"]

# Operations whose inputs are worth 8 bits. Sums are among them in a ResNet, where the residual branch
# would otherwise go back and forth; in a ViT they would round the residual stream for no gain in speed.
_RESNET_OPERATIONS = ("Conv", "Gemm", "Add", "Relu", "AveragePool")
_VIT_OPERATIONS = ("Gemm", "MatMul")


def quantise_graph(
    model: onnx.ModelProto, batches: Sequence[Pixels], target: Target
) -> onnx.ModelProto:
    """The encoder graph in INT8, its activations' ranges measured on `batches` of `[n, 3, S, S]`.

    The ranges are the smallest and largest values seen. First convolution, attention pool and everything
    that is no layer stay float32: few operations, and the features come out of the last ones.
    """
    source = onnx.ModelProto()
    source.CopyFrom(model)
    resnet = any(node.op_type == "AveragePool" for node in source.graph.node)
    float32_nodes = _name_float32_nodes(source, resnet=resnet)
    if target == "cpu":
        _replace_average_pools(source)
    options: dict[str, Any] = {"WeightSymmetric": True, "QuantizeBias": target == "cpu"}
    if target == "tensorrt":
        options["ActivationSymmetric"] = True
        options["OpTypesToExcludeOutputQuantization"] = ["Conv", "Gemm", "MatMul"]
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        before, after = Path(scratch) / "float32.onnx", Path(scratch) / "int8.onnx"
        onnx.save(source, before)
        quantize_static(
            before,
            after,
            _Reader(source.graph.input[0].name, batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_RESNET_OPERATIONS if resnet else _VIT_OPERATIONS),
            per_channel=True,
            activation_type=QuantType.QUInt8 if target == "cpu" else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=float32_nodes,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options=options,
        )
        quantised = onnx.load(after)
    quantised.ir_version = model.ir_version
    return quantised


def _name_float32_nodes(model: onnx.ModelProto, *, resnet: bool) -> list[str]:
    """The nodes that stay float32."""
    nodes = list(model.graph.node)
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    first = next(node.name for node in nodes if node.op_type == "Conv")
    if resnet:
        last = max(index for index, node in enumerate(nodes) if node.op_type == "Conv")
        while nodes[last + 1].op_type in ("Add", "Relu"):  # the last block's own sum
            last += 1
        return [first, *(node.name for node in nodes[last + 1 :])]
    layers = [node for node in nodes if node.op_type in ("Gemm", "MatMul")]
    # Products of activations with each other, and of the single query with weights per head.
    inner = [n.name for n in layers if len(weights.get(n.input[1], ())) != 2]
    return [first, layers[-1].name, *inner]


def _replace_average_pools(model: onnx.ModelProto) -> None:
    """Write every average pool without padding as the depthwise convolution that it is."""
    inferred = onnx.shape_inference.infer_shapes(model)
    channels = {
        value.name: value.type.tensor_type.shape.dim[1].dim_value
        for value in inferred.graph.value_info
        if len(value.type.tensor_type.shape.dim) == 4
    }
    for node in model.graph.node:
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        if node.op_type != "AveragePool" or any(attributes.get("pads", ())):
            continue
        count, kernel = channels[node.input[0]], attributes["kernel_shape"]
        weight = np.full((count, 1, *kernel), 1 / np.prod(kernel), np.float32)
        name = f"{node.name}.weight"
        model.graph.initializer.append(numpy_helper.from_array(weight, name))
        convolution = helper.make_node(
            "Conv",
            [node.input[0], name],
            list(node.output),
            node.name,
            group=count,
            kernel_shape=kernel,
            strides=attributes.get("strides", [1] * len(kernel)),
        )
        node.CopyFrom(convolution)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, batches: Sequence[Pixels]) -> None:
        self._feeds = iter([{name: batch} for batch in batches])

    def get_next(self) -> dict[str, Pixels] | None:
        return next(self._feeds, None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice to preprocess the model (it is preprocessed) off the screen."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)
