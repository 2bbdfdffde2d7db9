"""Similarity cue (section 3 of the method): the direction of the features, by good and bad prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from maclip_runtime.method.pixels import Floats
from maclip_runtime.method.ranges import Range

_NORM_FLOOR = np.float32(1e-12)  # keeps the direction of an all-zero feature defined


def measure_attributes(features: Floats, prompts: Floats, logit_scale: float) -> Floats:
    """Probability of the good prompt of each pair for each view, `[V, K]` in 0..1.

    features: `[V, D]`, unnormalised. prompts: `[K, 2, D]`, unit length, (good, bad) per pair.
    logit_scale: as CLIP stores it, the logarithm of the factor on the cosine. The softmax is over the two
    prompts of a pair.
    """
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    directions = features / np.maximum(norm, _NORM_FLOOR)
    cosine = np.einsum("vd,kpd->vkp", directions, prompts)
    margin = np.float32(np.exp(logit_scale)) * (cosine[..., 1] - cosine[..., 0])
    # A softmax over two logits is the logistic of their difference; exp never sees a large positive
    # number, so the extremes go to 0 and 1 without overflow.
    small = np.exp(-np.abs(margin))
    return np.where(margin > 0, small, np.float32(1)) / (1 + small)


@dataclass(frozen=True)
class SimilarityCue:
    """How much nearer the features are to the good prompts; `base` is its logit in the fusion."""

    base: Annotated[float, Range(-100, 100)] = 1.0

    def measure(self, features: Floats, attributes: Floats) -> Floats:
        """The cue `[V]`, in 0..1: the attributes `[V, K]` of the scored pairs, averaged."""
        return attributes.mean(axis=1, dtype=np.float32)
