"""Fusion of the cues by confidence (section 5 of the method)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from maclip_runtime.method.pixels import Floats


def weigh_cues(
    cues: Mapping[str, Floats], bases: Mapping[str, float], alpha: float
) -> dict[str, Floats]:
    """The weight of each cue in each view, `[V]` each; they sum to 1.

    The softmax of `base + alpha * (cue - mean of the other cues)`: for the two published cues, with
    d = similarity - magnitude, of `(1.0 + alpha * d, 0.6 - alpha * d)`.
    """
    values = np.stack([cues[name] for name in cues])
    others = (values.sum(axis=0) - values) / np.float32(max(len(values) - 1, 1))
    base = np.array([bases[name] for name in cues], np.float32)
    logits = base[:, None] + np.float32(alpha) * (values - others)
    logits -= logits.max(axis=0)  # the largest becomes 0, so exp cannot overflow
    weights = np.exp(logits)
    weights /= weights.sum(axis=0)
    return dict(zip(cues, weights, strict=True))


def fuse_cues(cues: Mapping[str, Floats], weights: Mapping[str, Floats]) -> Floats:
    """The score of each view `[V]`: its cues, weighted; a convex combination."""
    return np.sum([weights[name] * cues[name] for name in cues], axis=0, dtype=np.float32)
