"""Graphs joined to one: views, encoder and head, each written by itself."""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx import compose

from maclip_export.graphs.building import finish_graph, get_opset, raise_opset


def chain_graphs(*models: onnx.ModelProto) -> onnx.ModelProto:
    """Join graphs front to back: outputs feed the next ones' inputs of the same name, weights are shared.

    An output that the next graph does not take stays one, for a later graph or of the whole.
    """
    newest = max(get_opset(model) for model in models)
    joined = onnx.ModelProto()
    joined.CopyFrom(models[0])
    raise_opset(joined, newest)
    for number, model in enumerate(models[1:], start=1):
        wanted = {value.name for value in model.graph.input}
        links = [(v.name, v.name) for v in joined.graph.output if v.name in wanted]
        # Names inside the graphs may clash, those of their inputs and outputs must stay.
        model = compose.add_prefix(model, f"{number}/", rename_inputs=False, rename_outputs=False)
        raise_opset(model, newest)
        joined = compose.merge_models(joined, model, io_map=links)
    return finish_graph(ir.from_proto(joined))
