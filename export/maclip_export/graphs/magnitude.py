"""The magnitude cue as a graph (section 4 of the method); the runtime's is `method/magnitude.py`."""

from __future__ import annotations

import onnx_ir as ir

from maclip_export.graphs.building import OpBuilder
from maclip_runtime.method.magnitude import MagnitudeCue


def write_magnitude(
    op: OpBuilder, features: ir.Value, attributes: ir.Value, cue: MagnitudeCue
) -> ir.Value:
    """Magnitude [V, 1] of features [V, D]: Box-Cox of |features| over their deviation, averaged."""
    assert features.shape is not None
    channels = int(features.shape[1])  # type: ignore[arg-type]  # by which the deviation is unbiased
    boxcox_lambda = cue.boxcox_lambda
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
