"""The head as a graph (sections 3 to 6 of the method): the cues, their fusion, the frame's score."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from maclip_export.graphs.building import OpBuilder, declare_input, write_graph
from maclip_export.graphs.fusion import write_fusion
from maclip_export.graphs.magnitude import write_magnitude
from maclip_export.graphs.similarity import write_similarity
from maclip_runtime.head import HeadConstants


def write_head_graph(
    prompts: NDArray[np.float32], logit_scale: float, constants: HeadConstants
) -> onnx.ModelProto:
    """features float32 [V, D] to score, similarity and magnitude, float32 scalars: means over V.

    prompts: unit embeddings [K, 2, D], (good, bad) per pair. logit_scale: the logarithm, as CLIP
    stores it. The same equations as the runtime's head.
    """
    channels = prompts.shape[2]

    def write(op: OpBuilder, features: ir.Value) -> dict[str, ir.Value]:
        similarity = write_similarity(op, features, prompts, logit_scale)
        magnitude = write_magnitude(op, features, channels, constants.boxcox_lambda)
        score = write_fusion(op, similarity, magnitude, constants)
        cues = {"score": score, "similarity": similarity, "magnitude": magnitude}
        return {name: op.ReduceMean(value, keepdims=0) for name, value in cues.items()}

    features = declare_input("features", ir.DataType.FLOAT, ["views", channels])
    return write_graph("head", [features], write)
