"""The fusion of the cues as a graph (section 5 of the method); the runtime's is `method/fusion.py`."""

from __future__ import annotations

import onnx_ir as ir

from maclip_export.graphs.building import OpBuilder
from maclip_runtime.head import HeadConstants


def write_fusion(
    op: OpBuilder, similarity: ir.Value, magnitude: ir.Value, constants: HeadConstants
) -> ir.Value:
    """The score [V, 1] of each view from its cues [V, 1], weighted by confidence.

    A softmax over two numbers is the logistic of their difference.
    """
    difference = op.Sub(similarity, magnitude)
    bases = constants.similarity_base - constants.magnitude_base
    weight = op.Sigmoid(op.Add(op.Mul(difference, [2 * constants.alpha]), [bases]))
    return op.Add(magnitude, op.Mul(weight, difference))
