"""The head of MA-CLIP: from image features to quality (sections 3 to 6 of the method).

Pure functions on float32 arrays; nothing here keeps state or knows which engine made the features.
Symbols follow Magnitude-Aware CLIP (arXiv 2511.09948).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_NORM_FLOOR = np.float32(1e-12)  # keeps the direction of an all-zero feature defined
_STD_FLOOR = np.float32(1e-6)  # the published method's guard in the magnitude's denominator


@dataclass(frozen=True)
class HeadConstants:
    """The published constants of the head.

    `boxcox_lambda` shapes the magnitude cue; the fusion weights of the two cues are the softmax of
    `(similarity_base + alpha * d, magnitude_base - alpha * d)`, d being similarity minus magnitude.
    """

    boxcox_lambda: float = 0.5
    alpha: float = 1.0
    similarity_base: float = 1.0
    magnitude_base: float = 0.6


@dataclass(frozen=True)
class Cues:
    """Per-view results, float32 `[V]` each: the two cues, the weight of the similarity cue, the score."""

    similarity: Floats
    magnitude: Floats
    weight: Floats
    score: Floats


def measure_similarity(features: Floats, prompts: Floats, logit_scale: float) -> Floats:
    """Similarity cue of each view, in 0..1: how much nearer the features are to the good prompts.

    features: `[V, D]`, unnormalised. prompts: `[K, 2, D]`, unit length, (good, bad) per pair.
    logit_scale: as CLIP stores it, the logarithm of the factor on the cosine. Returns `[V]`: the
    probability of the good prompt under a softmax over its pair, averaged over the K pairs.
    """
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    directions = features / np.maximum(norm, _NORM_FLOOR)
    cosine = np.einsum("vd,kpd->vkp", directions, prompts)
    margin = np.float32(np.exp(logit_scale)) * (cosine[..., 1] - cosine[..., 0])
    # A softmax over two logits is the logistic of their difference; exp never sees a large positive
    # number, so the extremes go to 0 and 1 without overflow.
    small = np.exp(-np.abs(margin))
    good = np.where(margin > 0, small, np.float32(1)) / (1 + small)
    return good.mean(axis=1, dtype=np.float32)


def measure_magnitude(features: Floats, boxcox_lambda: float) -> Floats:
    """Magnitude cue of each view, `[V]`, from features `[V, D]`: Box-Cox of |features|, averaged.

    The magnitudes are divided by their own standard deviation over the channels (unbiased), which
    makes the cue independent of the features' scale. The transform is `((m + 1)^lambda - 1) / lambda`
    and its limit `log(m + 1)` at lambda = 0.
    """
    magnitude = np.abs(features)
    spread = magnitude.std(axis=1, ddof=1, keepdims=True, dtype=np.float32)
    log_term = np.log1p(magnitude / (spread + _STD_FLOOR))
    if boxcox_lambda == 0:
        transformed = log_term
    else:  # expm1 keeps the digits that `(m + 1)^lambda - 1` loses as lambda nears 0
        lam = np.float32(boxcox_lambda)
        transformed = np.expm1(lam * log_term) / lam
    return transformed.mean(axis=1, dtype=np.float32)


def fuse_cues(similarity: Floats, magnitude: Floats, constants: HeadConstants) -> Cues:
    """Fuse the two cues of each view by confidence: a convex combination, `[V]` in and out."""
    difference = similarity - magnitude
    logit = (constants.similarity_base - constants.magnitude_base) + 2 * (
        constants.alpha * difference
    )
    small = np.exp(-np.abs(logit))
    weight = (np.where(logit >= 0, np.float32(1), small) / (1 + small)).astype(np.float32)
    score = weight * similarity + (1 - weight) * magnitude
    return Cues(similarity, magnitude, weight, score)


def judge_views(
    features: Floats, prompts: Floats, logit_scale: float, constants: HeadConstants
) -> Cues:
    """Both cues of every view and their fusion; the frame's score is the mean of `score`."""
    return fuse_cues(
        measure_similarity(features, prompts, logit_scale),
        measure_magnitude(features, constants.boxcox_lambda),
        constants,
    )
