"""Torch modules to ONNX graphs: one file each, in versions that old readers know."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from maclip_export.errors import CheckpointError
from maclip_runtime.manifest import Tensor as TensorType

# The newest pair that both the oldest supported ONNX Runtime (1.17: opset 20, IR 9) and TensorRT 10.3
# (opset 20) read with room to spare; 18 is also what torch's exporter writes without converting.
OPSET = 18
IR_VERSION = 8
PRODUCER = "maclip-edge"

_PROTOBUF_LIMIT = 2**31


def export_graph(
    module: nn.Module, example: Tensor, path: Path, names: tuple[str, str, str]
) -> None:
    """Trace a module of one input and one output, its first axis dynamic, into the file `path`.

    `names`: of the input, the output, and their first axis. `example` needs a first axis of at least
    2, since torch.export takes an axis of 1 for a constant.
    """
    input_name, output_name, batch_name = names
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[input_name],
            output_names=[output_name],
            dynamic_shapes=({0: torch.export.Dim(batch_name, min=1)},),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    model: onnx.ModelProto = program.model_proto
    if model.ByteSize() >= _PROTOBUF_LIMIT:
        raise CheckpointError(
            f"{path.name} would be {model.ByteSize() / 1e9:.1f} GB; one ONNX file holds at most 2.1 GB"
        )
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = PRODUCER, ""
    del model.metadata_props[:]
    _drop_trace(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _drop_trace(graph: onnx.GraphProto) -> None:
    """Remove what the exporter notes of the Python source, stack traces with local paths among it."""
    for element in (
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        del element.metadata_props[:]
        element.doc_string = ""
    del graph.metadata_props[:]
    graph.doc_string = ""


def read_signature(path: Path) -> tuple[dict[str, TensorType], dict[str, TensorType]]:
    """Inputs and outputs of a graph file, as the manifest records them."""
    graph = onnx.load(path, load_external_data=False).graph

    def describe(values: Iterator[onnx.ValueInfoProto]) -> dict[str, TensorType]:
        return {
            value.name: TensorType(
                onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
                tuple(dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim),
            )
            for value in values
        }

    return describe(iter(graph.input)), describe(iter(graph.output))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's exporter from printing: its progress goes to stdout, whatever `verbose` says."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
