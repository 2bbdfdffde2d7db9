"""The fusion of the cues as a graph (section 5 of the method); the runtime's is `method/fusion.py`."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from maclip_export.graphs.building import OpBuilder, write_constant
from maclip_runtime.method.head import Head


def write_fusion(op: OpBuilder, cues: Mapping[str, ir.Value], head: Head) -> ir.Value:
    """The score [V, 1] of each view from its cues [V, 1] by name, weighted by confidence.

    The weights are the softmax of `base + alpha * (cue - mean of the other cues)`.
    """
    values = op.Concat(*cues.values(), axis=1)  # [V, C]
    others = [1 / max(len(cues) - 1, 1)]
    rest = op.Mul(op.Sub(op.ReduceSum(values, [1], keepdims=1), values), others)
    bases = write_constant(op, [[head.cues[name].base for name in cues]])
    logits = op.Add(op.Mul(op.Sub(values, rest), [head.alpha]), bases)
    return op.ReduceSum(op.Mul(op.Softmax(logits, axis=1), values), [1], keepdims=1)
