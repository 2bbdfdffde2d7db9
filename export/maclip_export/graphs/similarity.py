"""The similarity cue as a graph (section 3 of the method); the runtime's is `method/similarity.py`."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from maclip_export.graphs.building import OpBuilder, write_constant
from maclip_runtime.method.similarity import SimilarityCue


def write_attributes(
    op: OpBuilder, features: ir.Value, prompts: NDArray[np.float32], logit_scale: float
) -> ir.Value:
    """Attributes [V, K] of features [V, D], in 0..1: the probability of each pair's good prompt.

    prompts: unit embeddings [K, 2, D], (good, bad) per pair. logit_scale: the logarithm, as CLIP
    stores it.
    """
    pairs, _, dim = prompts.shape
    text = np.exp(logit_scale) * prompts.reshape(2 * pairs, dim).T.astype(np.float64)
    squares = op.ReduceSum(op.Mul(features, features), [1], keepdims=1)
    norm = op.Max(op.Sqrt(squares), [1e-12])
    logits = op.MatMul(op.Div(features, norm), write_constant(op, text))
    good = op.Slice(op.Softmax(op.Reshape(logits, [-1, pairs, 2]), axis=2), [0], [1], [2])
    return op.Squeeze(good, [2])


def write_similarity(
    op: OpBuilder, features: ir.Value, attributes: ir.Value, cue: SimilarityCue
) -> ir.Value:
    """Similarity [V, 1]: the mean of the attributes [V, K] that are scored."""
    return op.ReduceMean(attributes, [1], keepdims=1)
