"""Torch modules to ONNX graphs, in versions that old readers know."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import onnx
import torch
from torch import Tensor, nn

from maclip_export.errors import CheckpointError
from maclip_export.graphs.building import IR_VERSION, OPSET, PRODUCER

_PROTOBUF_LIMIT = 2**31
_MOST_CELLS = 4096  # torch.export wants a bound; 131072 pixels


def trace_graph(
    module: nn.Module,
    example: Tensor,
    names: tuple[str, str, str],
    *,
    cell: int | None = None,
) -> onnx.ModelProto:
    """The graph of a module of one input and one output, its first axis dynamic.

    names: of the input, the output, and their first axis. example: needs a first axis of at least 2,
    since torch.export takes an axis of 1 for a constant. cell: height and width are dynamic too, in
    multiples of this, down to those of a view.
    """
    input_name, output_name, batch_name = names
    axes: dict[int, object] = {0: torch.export.Dim(batch_name, min=1)}
    if cell is not None:
        rows, columns = (
            torch.export.Dim(name, min=example.shape[2] // cell, max=_MOST_CELLS)
            for name in ("rows", "columns")
        )
        axes |= {2: cell * rows, 3: cell * columns}
        # Traced on more than one window each way, lest one be taken for a constant.
        example = torch.nn.functional.pad(example, (0, 6 * cell, 0, 5 * cell))
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[input_name],
            output_names=[output_name],
            dynamic_shapes=(axes,),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    model: onnx.ModelProto = program.model_proto
    if model.ByteSize() >= _PROTOBUF_LIMIT:
        raise CheckpointError(
            f"its graph would be {model.ByteSize() / 1e9:.1f} GB; one ONNX file holds at most 2.1 GB"
        )
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = PRODUCER, ""
    del model.metadata_props[:]
    _drop_trace(model.graph)
    if cell is not None:
        _name_axes(model.graph.input[0], ("pictures", None, "height", "width"))
        _name_axes(model.graph.output[0], ("windows", None))
    onnx.checker.check_model(model)
    return model


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


def _name_axes(value: onnx.ValueInfoProto, names: tuple[str | None, ...]) -> None:
    """Give dynamic axes names in place of the formulas that the exporter writes."""
    for axis, name in zip(value.type.tensor_type.shape.dim, names, strict=True):
        if name is not None:
            axis.dim_param = name


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
