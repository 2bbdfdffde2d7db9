"""The magnitude cue as a graph (section 4 of the method); the runtime's is `method/magnitude.py`."""

from __future__ import annotations

import onnx_ir as ir

from maclip_export.graphs.building import OpBuilder


def write_magnitude(
    op: OpBuilder, features: ir.Value, channels: int, boxcox_lambda: float
) -> ir.Value:
    """Magnitude [V, 1] of features [V, D]: Box-Cox of |features| over their deviation, averaged.

    channels: D, by which the deviation is unbiased.
    """
    magnitudes = op.Abs(features)
    centred = op.Sub(magnitudes, op.ReduceMean(magnitudes, [1], keepdims=1))
    squares = op.ReduceSum(op.Mul(centred, centred), [1], keepdims=1)
    spread = op.Sqrt(op.Mul(squares, [1 / (channels - 1)]))
    shifted = op.Add(op.Div(magnitudes, op.Add(spread, [1e-6])), [1.0])
    if boxcox_lambda == 0:
        transformed = op.Log(shifted)
    else:
        power = op.Pow(shifted, [boxcox_lambda])
        transformed = op.Mul(op.Sub(power, [1.0]), [1 / boxcox_lambda])
    return op.ReduceMean(transformed, [1], keepdims=1)
