"""Writing a graph out, operator by operator, and finishing it in versions that old readers know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import ArrayLike
from onnxscript import GraphBuilder, optimizer

# The newest pair that both the oldest supported ONNX Runtime (1.17: opset 20, IR 9) and TensorRT 10.3
# (opset 20) read with room to spare; 18 is also what torch's exporter writes without converting.
OPSET = 18
IR_VERSION = 8
PRODUCER = "maclip-edge"

HALF_QUANTISATION_OPSET = (
    19  # the first whose QuantizeLinear and DequantizeLinear take half precision
)

FLOAT = ir.DataType.FLOAT.value
INT64 = ir.DataType.INT64.value

OpBuilder = Any  # onnxscript.OpBuilder looks its operators up by name

# Bytes; the optimizer's default would leave the indices of a static graph unfolded.
_FOLD_LIMIT = 1 << 24


def declare_input(name: str, dtype: ir.DataType, shape: Sequence[int | str]) -> ir.Value:
    """An input of a graph to write; a string names a dynamic axis."""
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))


def write_graph(
    name: str, inputs: Sequence[ir.Value], write: Callable[..., dict[str, ir.Value]]
) -> onnx.ModelProto:
    """The graph that `write(op, *inputs)` writes; it returns the outputs by name."""
    graph = ir.Graph(list(inputs), [], nodes=[], opset_imports={"": OPSET}, name=name)
    outputs = write(GraphBuilder(graph).op, *inputs)
    for label, value in outputs.items():
        value.name = label
        graph.outputs.append(value)
    return finish_graph(ir.Model(graph, ir_version=IR_VERSION))


def finish_graph(model: ir.Model) -> onnx.ModelProto:
    """Fold what is constant, share equal constants, and drop what the builder noted of its source."""
    optimizer.optimize_ir(model, input_size_limit=_FOLD_LIMIT, output_size_limit=_FOLD_LIMIT)
    ir.passes.common.DeduplicateHashedInitializersPass()(model)
    ir.passes.common.ClearMetadataAndDocStringPass()(model)
    model.ir_version, model.producer_name = IR_VERSION, PRODUCER
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto)
    return proto


def get_opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that a graph is written in."""
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def raise_opset(model: onnx.ModelProto, version: int) -> None:
    """Call a graph one of a newer version, at most HALF_QUANTISATION_OPSET.

    From 18 to 19 the operators that are used here changed only in the types that they take.
    """
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = version


def write_constant(
    op: OpBuilder, value: ArrayLike, dtype: type[np.generic] = np.float32
) -> ir.Value:
    """A constant tensor of the graph, float32 unless said otherwise."""
    array = np.asarray(value, dtype=dtype, order="C")
    return op.Constant(value=ir.tensor(array))
