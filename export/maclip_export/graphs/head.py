"""The head as a graph (sections 3 to 6 of the method): the cues, their fusion, the frame's score."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from maclip_export.graphs.building import OpBuilder, declare_input, write_constant, write_graph
from maclip_export.graphs.fusion import write_fusion
from maclip_export.graphs.magnitude import write_magnitude
from maclip_export.graphs.similarity import write_attributes, write_similarity
from maclip_runtime.method.head import Head

# The graph writer of each cue: a new cue is a module beside these and a line here.
_WRITERS: dict[str, Callable[..., ir.Value]] = {
    "similarity": write_similarity,
    "magnitude": write_magnitude,
}


def write_head_graph(
    prompts: NDArray[np.float32],
    logit_scale: float,
    constants: Head,
    scored: Sequence[bool] | None = None,
) -> onnx.ModelProto:
    """features float32 [V, D] to score, similarity, magnitude and attributes: means over V.

    The first three are float32 scalars, attributes float32 [K]. prompts: unit embeddings [K, 2, D], (good,
    bad) per pair. logit_scale: the logarithm, as CLIP stores it. scored: of each pair, whether the
    similarity cue counts it, by default all. The same equations as the runtime's head.
    """
    channels = prompts.shape[2]

    def write(op: OpBuilder, features: ir.Value) -> dict[str, ir.Value]:
        attributes = write_attributes(op, features, prompts, logit_scale)
        counted = attributes
        if scored is not None and not all(scored):
            chosen = write_constant(op, np.flatnonzero(scored), np.int64)
            counted = op.Gather(attributes, chosen, axis=1)
        cues = {
            name: _WRITERS[name](op, features, counted, cue) for name, cue in constants.cues.items()
        }
        views = {"score": write_fusion(op, cues, constants), **cues}
        means = {name: op.ReduceMean(value, keepdims=0) for name, value in views.items()}
        return {**means, "attributes": op.ReduceMean(attributes, [0], keepdims=0)}

    features = declare_input("features", ir.DataType.FLOAT, ["views", channels])
    return write_graph("head", [features], write)
