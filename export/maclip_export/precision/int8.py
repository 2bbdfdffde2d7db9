"""INT8: a float32 encoder graph to one with int8 weights and 8-bit activations (QDQ), by ONNX Runtime.

Weights are symmetric, one scale per output channel. The activations' form depends on who runs the graph:

- "cpu": unsigned, with zero points. ONNX Runtime's fast integer kernels want that, and a zero point of 0
  lets a ReLU vanish into the convolution before it. In the signed form only a third to two thirds of
  RN50's convolutions fuse, and the graph is slower than float32 (60 against 48 ms a view; unsigned 14).
  Average pools become depthwise convolutions, whose integer kernel is several times as fast, and biases
  are int32, without which ONNX Runtime 1.17 takes four times as long.
- "tensorrt": signed, without zero points, biases float, which is all that TensorRT reads. Only what layers
  and average pools read is quantised, and of a sum the residual branch alone, so that convolution, sum and
  ReLU become one kernel with 8 bits at both ends (see `_free_sums`). A ResNet's stem is left out: it is 6 %
  of RN50's work, and signed, what a ReLU gives has 7 bits; the demo encoder ranks with SRCC 0.981 with the
  stem and 0.998 without. Scales are numbers that half precision has, for the rest is half (`half.py`).
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from maclip_export.graphs.building import HALF_QUANTISATION_OPSET, raise_opset
from maclip_runtime.method.pixels import Pixels

Target = Literal["cpu", "tensorrt"]

# Operations whose inputs are worth 8 bits. Sums are among them in a ResNet, where the residual branch
# would otherwise go back and forth; in a ViT they would round the residual stream for no gain in speed.
_RESNET_OPERATIONS: dict[Target, tuple[str, ...]] = {
    "cpu": ("Conv", "Gemm", "Add", "Relu", "AveragePool"),
    "tensorrt": ("Conv", "Gemm", "Add"),
}
_VIT_OPERATIONS = ("Gemm", "MatMul")

_SMALLEST_HALF = np.float32(2.0**-24)


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
    float32_nodes = _name_float32_nodes(source, target, resnet=resnet)
    operations = _RESNET_OPERATIONS[target] if resnet else _VIT_OPERATIONS
    pools = _replace_average_pools(source)
    options: dict[str, Any] = {"WeightSymmetric": True, "QuantizeBias": target == "cpu"}
    if target == "tensorrt":
        options["ActivationSymmetric"] = True
        options["OpTypesToExcludeOutputQuantization"] = list(operations)
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        before, after = Path(scratch) / "float32.onnx", Path(scratch) / "int8.onnx"
        onnx.save(source, before)
        quantize_static(
            before,
            after,
            _Reader(source.graph.input[0].name, batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(operations),
            per_channel=True,
            activation_type=QuantType.QUInt8 if target == "cpu" else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=float32_nodes,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options=options,
        )
        quantised = onnx.load(after)
    quantised.ir_version = model.ir_version
    if target == "tensorrt":
        quantised = _free_sums(_put_back(quantised, pools))
        _round_scales(quantised, model)
        raise_opset(quantised, HALF_QUANTISATION_OPSET)
        quantised = onnx.shape_inference.infer_shapes(quantised)  # whoever goes on wants the types
    return quantised


def _put_back(model: onnx.ModelProto, pools: Mapping[str, onnx.NodeProto]) -> onnx.ModelProto:
    """The average pools that became convolutions, for the quantiser passes pools over; of 8 bits now."""
    for node in model.graph.node:
        if node.name in pools:
            read, written = node.input[0], node.output[0]
            node.CopyFrom(pools[node.name])
            node.input[0], node.output[0] = read, written
    return model


def _free_sums(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take quantisation away from the inputs of sums that convolutions feed, and leave it on the others.

    NVIDIA's pattern for residual blocks (ResNetV1QDQCase of its quantisation toolkit; its ModelOpt does the
    same): TensorRT fuses the convolution with sum and ReLU if nothing stands between them, and that kernel
    gives 8 bits only if what it adds has 8 bits too. Where both are convolutions, the first is the branch.
    """
    whole = ir.from_proto(model)
    for node in whole.graph:
        if node.op_type != "Add":
            continue
        branch = _find_unquantised(node.inputs[0])
        if branch is not None:
            node.replace_input_with(0, branch)
    RemoveUnusedNodesPass()(whole)
    return ir.to_proto(whole)


def _find_unquantised(value: ir.Value | None) -> ir.Value | None:
    """A convolution's output behind QuantizeLinear and DequantizeLinear; None if it is something else."""
    for operation in ("DequantizeLinear", "QuantizeLinear"):
        producer = value.producer() if value is not None else None
        if producer is None or producer.op_type != operation:
            return None
        value = producer.inputs[0]
    maker = value.producer() if value is not None else None
    return value if maker is not None and maker.op_type == "Conv" else None


def _round_scales(model: onnx.ModelProto, original: onnx.ModelProto) -> None:
    """Round every scale up to a number that half precision has, and quantise weights anew with theirs.

    Rounded later, weights of small scales would lose more than 8 bits cost, and a scale of 0 is refused.
    """
    floats = {tensor.name: tensor for tensor in original.graph.initializer}
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    changing = ("QuantizeLinear", "DequantizeLinear")
    scales = {node.input[1] for node in model.graph.node if node.op_type in changing}
    for name in scales:
        scale = np.maximum(numpy_helper.to_array(tensors[name]), _SMALLEST_HALF)
        half = scale.astype(np.float16)
        half = np.where(half < scale, np.nextafter(half, np.float16(np.inf)), half)
        tensors[name].CopyFrom(numpy_helper.from_array(half.astype(np.float32), name))
    for node in model.graph.node:
        weight = node.input[0].removesuffix("_quantized")
        if node.op_type != "DequantizeLinear" or weight not in floats:
            continue
        scale = numpy_helper.to_array(tensors[node.input[1]])
        values = numpy_helper.to_array(floats[weight])
        axis = helper.get_node_attr_value(node, "axis") if scale.size > 1 else 0
        shape = [-1 if place == axis % values.ndim else 1 for place in range(values.ndim)]
        rounded = np.rint(values / scale.reshape(shape if scale.size > 1 else ()))
        quantised = np.clip(rounded, -127, 127).astype(np.int8)
        tensors[node.input[0]].CopyFrom(numpy_helper.from_array(quantised, node.input[0]))


def _name_float32_nodes(model: onnx.ModelProto, target: Target, *, resnet: bool) -> list[str]:
    """The nodes that are not quantised."""
    nodes = list(model.graph.node)
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    first = next(node.name for node in nodes if node.op_type == "Conv")
    if resnet:
        last = max(index for index, node in enumerate(nodes) if node.op_type == "Conv")
        while nodes[last + 1].op_type in ("Add", "Relu"):  # the last block's own sum
            last += 1
        pool = next(index for index, node in enumerate(nodes) if node.op_type == "AveragePool")
        stem = [node.name for node in nodes[:pool]] if target == "tensorrt" else [first]
        return [*stem, *(node.name for node in nodes[last + 1 :])]
    layers = [node for node in nodes if node.op_type in ("Gemm", "MatMul")]
    # Products of activations with each other, and of the single query with weights per head.
    inner = [n.name for n in layers if len(weights.get(n.input[1], ())) != 2]
    return [first, layers[-1].name, *inner]


def _replace_average_pools(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Write average pools without padding as the depthwise convolutions that they are; return the pools."""
    pools: dict[str, onnx.NodeProto] = {}
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
        pools[node.name] = onnx.NodeProto()
        pools[node.name].CopyFrom(node)
        node.CopyFrom(convolution)
    return pools


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
