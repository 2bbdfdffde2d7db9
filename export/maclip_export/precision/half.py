"""Half precision written into the graph: what may be rounded is measured, the rest stays float32.

Engines take the types from the graph (strongly typed); no builder flag decides anything. A tensor may
be half if rounding it to half costs what it costs any well-scaled tensor, a relative error of 2e-4 to
3e-4 in the L2 norm. Beyond half's range the error is infinite, and near its smallest numbers it grows,
so one measure finds both, in weights and activations alike. A node that reads or writes a tensor which
fails stays float32, and so do the operations that want range whatever they read.

Why our own pass: onnxruntime's float16 converter makes NaN of graphs that overflow, and ModelOpt's
AutoCast looks upward only (wrong by 62 times on weights that underflow) and pins old onnx releases.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from maclip_export.graphs.running import open_graph

# Normalisations, softmax and means: sums over many terms, or exponentials. TensorRT also wants the
# input and the scale of a LayerNormalization to be of one type.
FLOAT32_OPERATIONS = frozenset(
    {"LayerNormalization", "Softmax", "ReduceMean", "ReduceSum", "Pow", "Exp"}
)
ERROR_LIMIT = 1e-3  # of the relative rounding error; four times what a well-scaled tensor has
HEADROOM = 4.0  # other pictures may reach further than the measured ones

_HALF_MAX = float(np.finfo(np.float16).max)  # 65504; as a float16, NumPy 2 would compare in half
_FLOAT, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16


@dataclass(frozen=True)
class HalfCost:
    """What half precision would make of a tensor: its largest magnitude and the relative L2 error."""

    largest: float
    error: float

    def __or__(self, other: HalfCost) -> HalfCost:
        return HalfCost(max(self.largest, other.largest), max(self.error, other.error))


def convert_to_half(
    model: onnx.ModelProto, pixels: list[NDArray[np.float32]]
) -> tuple[onnx.ModelProto, dict[str, str]]:
    """An encoder graph in half precision, inputs and outputs float32, measured on `pixels`.

    pixels: inputs `[n, 3, S, S]` of a few views each; every activation of a run is kept at once.
    Returns the graph, and the nodes that stayed float32, each with the reason.
    """
    float32_nodes = _find_float32_nodes(model, _measure_costs(model, pixels))
    return rewrite_in_half(model, float32_nodes), float32_nodes


def measure_cost(values: NDArray[np.float32], headroom: float = 1.0) -> HalfCost:
    """What rounding `values` to half costs; infinite if `headroom` times the largest overflows."""
    largest = float(np.max(np.abs(values), initial=0.0))
    if not largest * headroom <= _HALF_MAX:
        return HalfCost(largest, float("inf"))
    norm = float(np.linalg.norm(values.ravel()))
    lost = float(np.linalg.norm((values - values.astype(np.float16).astype(np.float32)).ravel()))
    return HalfCost(largest, lost / norm if norm else 0.0)


def _measure_costs(
    model: onnx.ModelProto, pixels: list[NDArray[np.float32]]
) -> dict[str, HalfCost]:
    """The cost of every float32 tensor of the graph: weights, and activations over all inputs."""
    exposed = ir.from_proto(model)
    graph = exposed.graph
    activations = [v for node in graph for v in node.outputs if v.dtype == _FLOAT and v.name]
    already = {value.name for value in graph.outputs}
    graph.outputs.extend(value for value in activations if value.name not in already)
    session = open_graph(ir.to_proto(exposed))
    costs = {
        str(name): measure_cost(value.const_value.numpy())
        for name, value in graph.initializers.items()
        if value.dtype == _FLOAT and value.const_value is not None
    }
    names = [str(value.name) for value in activations]
    (entry,) = session.get_inputs()
    for batch in pixels:
        outputs = session.run(names, {entry.name: batch})
        for name, values in zip([entry.name, *names], [batch, *outputs], strict=True):
            cost = measure_cost(values, HEADROOM)
            costs[name] = costs[name] | cost if name in costs else cost
    return costs


def _find_float32_nodes(model: onnx.ModelProto, costs: Mapping[str, HalfCost]) -> dict[str, str]:
    """The nodes that stay float32, by name, each with the reason."""
    reasons: dict[str, str] = {}
    graph = ir.from_proto(model).graph
    for node in graph:
        name = str(node.name)
        if node.op_type in FLOAT32_OPERATIONS:
            reasons[name] = f"{node.op_type} wants range"
            continue
        for value in (*node.inputs, *node.outputs):
            if value is None or value.dtype != _FLOAT:
                continue
            cost = costs[str(value.name)]
            if not cost.error <= ERROR_LIMIT:
                loss = f"loses {cost.error:.1e}" if np.isfinite(cost.error) else "overflows"
                reasons[name] = f"{value.name}, up to {cost.largest:.3g}, {loss} in half"
    _follow_neighbours(graph, reasons)
    return reasons


def _follow_neighbours(graph: ir.Graph, reasons: dict[str, str]) -> None:
    """Quantisation has the precision of the nodes it stands between: no Cast may part it from them."""
    for node in graph:
        followed: list[ir.Node] = []
        if node.op_type == "QuantizeLinear" and node.inputs[0] is not None:
            maker = node.inputs[0].producer()
            followed = [maker] if maker is not None else []
        elif node.op_type == "DequantizeLinear":
            followed = list(node.outputs[0].consumers())
        if followed and all(str(other.name) in reasons for other in followed):
            reasons.setdefault(str(node.name), f"{followed[0].name} is float32")


def rewrite_in_half(model: onnx.ModelProto, float32_nodes: Container[str]) -> onnx.ModelProto:
    """The graph in half but for the nodes named in `float32_nodes`, with Casts where the precision changes.

    Weights are stored in the precision of the node that reads them.
    """
    result = ir.from_proto(model)
    graph = result.graph
    converted: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}

    def convert(value: ir.Value, dtype: ir.DataType) -> ir.Value:
        if value.dtype == dtype:
            return value
        if (value, dtype) not in converted:
            name = f"{value.name}.{'half' if dtype == _HALF else 'float'}"
            if value.is_initializer():
                converted[value, dtype] = _convert_weight(graph, value, dtype, name)
            else:
                converted[value, dtype] = _insert_cast(graph, value, dtype, name)
        return converted[value, dtype]

    for node in list(graph):
        dtype = _FLOAT if node.name in float32_nodes else _HALF
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype in (_FLOAT, _HALF):
                node.replace_input_with(index, convert(value, dtype))
        for output in node.outputs:
            if output.dtype == _FLOAT:
                output.type = ir.TensorType(dtype)
    for index, value in enumerate(list(graph.outputs)):
        if value.dtype == _HALF:
            name, value.name = value.name, f"{value.name}.half"
            graph.outputs[index] = convert(value, _FLOAT)
            graph.outputs[index].name = name
    ir.passes.common.RemoveUnusedNodesPass()(result)  # and the float32 weights that nobody reads
    proto = ir.to_proto(result)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _convert_weight(graph: ir.Graph, value: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
    assert value.const_value is not None
    array = value.const_value.numpy().astype(dtype.numpy())
    new = ir.Value(
        name=name,
        type=ir.TensorType(dtype),
        shape=value.shape,
        const_value=ir.tensor(array, name=name),
    )
    graph.register_initializer(new)
    return new


def _insert_cast(graph: ir.Graph, value: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
    node = ir.node("Cast", [value], attributes={"to": dtype.value}, name=f"{name}.cast")
    new = node.outputs[0]
    new.name, new.shape, new.type = name, value.shape, ir.TensorType(dtype)
    producer = value.producer()
    if producer is None:  # an input of the graph
        graph.insert_before(graph[0], [node])
    else:
        graph.insert_after(producer, [node])
    return new
