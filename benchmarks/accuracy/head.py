"""From features to a picture's score and its two cues, with any head constants and prompts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.feature_cache import Features
from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.method.head import Head, score_views

CUES = ("score", "similarity", "magnitude")
CUE_TITLES = {
    "score": "fused score",
    "similarity": "similarity alone",
    "magnitude": "magnitude alone",
}


@dataclass(frozen=True)
class BundleHead:
    """The head with everything but the features: prompts `[K, 2, D]`, logit scale, constants."""

    prompts: NDArray[np.float32]
    logit_scale: float
    constants: Head

    def score(self, features: Features) -> tuple[float, float, float]:
        """A picture's means over its views `[V, D]`, in the order of CUES."""
        means = score_views(features, self.prompts, self.logit_scale, self.constants).mean()
        return means.score, means.similarity, means.magnitude


def load_head(bundle: Bundle, constants: Head | None = None) -> BundleHead:
    """The head of a bundle; constants: instead of the bundle's."""
    method = bundle.manifest.method
    return BundleHead(bundle.load_scored_prompts(), method.logit_scale, constants or method.head)


def list_constants(head: Head) -> dict[str, float]:
    """The constants of the two published cues and their fusion, by the names that reports have for them."""
    return {
        "boxcox_lambda": head.magnitude.boxcox_lambda,
        "alpha": head.alpha,
        "similarity_base": head.similarity.base,
        "magnitude_base": head.magnitude.base,
    }


def replace_constants(head: Head, **changes: float | None) -> Head:
    """A head with other constants, by the names of `list_constants`; None leaves one as it is."""
    given = {name: value for name, value in changes.items() if value is not None}
    constants = {**list_constants(head), **given}
    magnitude = replace(
        head.magnitude,
        base=constants["magnitude_base"],
        boxcox_lambda=constants["boxcox_lambda"],
    )
    similarity = replace(head.similarity, base=constants["similarity_base"])
    return replace(head, alpha=constants["alpha"], similarity=similarity, magnitude=magnitude)
