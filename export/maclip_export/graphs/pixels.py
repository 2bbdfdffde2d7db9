"""Pixels in a graph: CLIP's scale, and the global view (sections 1 and 2 of the method)."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from maclip_export.graphs.building import FLOAT, INT64, OpBuilder, write_constant
from maclip_runtime.method.geometry import ViewGeometry


def write_normalisation(op: OpBuilder, raw: ir.Value, geometry: ViewGeometry) -> ir.Value:
    """Pixels [N, 3, h, w] in 0..255 to CLIP's scale: (raw / 255 - mean) / std, as gain and shift."""
    gain = (1 / (255 * np.asarray(geometry.std, np.float64))).reshape(1, 3, 1, 1)
    shift = gain * 255 * np.asarray(geometry.mean, np.float64).reshape(1, 3, 1, 1)
    return op.Sub(op.Mul(raw, write_constant(op, gain)), write_constant(op, shift))


def write_global_view(
    op: OpBuilder, image: ir.Value, height: ir.Value, width: ir.Value, size: int
) -> ir.Value:
    """image [H, W, 3] to [1, 3, S, S]: bilinear, half-pixel centres, no antialiasing.

    Gathers and blends, with coordinates in float32 as PyTorch has them: ONNX Runtime's own Resize
    rounds them otherwise (a difference of 5e-4), and would need the frame with its channels first.
    """

    def blend(value: ir.Value, length: ir.Value, axis: int) -> ir.Value:
        scale = op.Div(op.Cast(length, to=FLOAT), [float(size)])
        centres = op.Sub(op.Mul(write_constant(op, np.arange(size) + 0.5), scale), [0.5])
        place = op.Max(centres, [0.0])
        floor = op.Floor(place)
        lower = op.Cast(floor, to=INT64)
        upper = op.Min(op.Add(lower, [1]), op.Sub(length, [1]))
        weight = op.Unsqueeze(op.Sub(place, floor), [1, 2] if axis == 0 else [1])
        near = op.Mul(op.Gather(value, lower, axis=axis), op.Sub([1.0], weight))
        far = op.Mul(op.Gather(value, upper, axis=axis), weight)
        return op.Add(near, far)

    whole = blend(blend(image, height, 0), width, 1)  # [S, S, 3]
    return op.Unsqueeze(op.Transpose(whole, perm=[2, 0, 1]), [0])
