"""From features to a picture's score and its two cues, with any head constants and prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_cache import Features
from maclip_runtime.method.head import Head, score_views

CUES = ("score", "similarity", "magnitude")
CUE_TITLES = {
    "score": "fused score",
    "similarity": "similarity alone",
    "magnitude": "magnitude alone",
}


@dataclass(frozen=True)
class Judge:
    """The head with everything but the features: prompts `[K, 2, D]`, logit scale, constants."""

    prompts: NDArray[np.float32]
    logit_scale: float
    constants: Head

    def judge(self, features: Features) -> tuple[float, float, float]:
        """A picture's means over its views `[V, D]`, in the order of CUES."""
        cues = score_views(features, self.prompts, self.logit_scale, self.constants)
        return float(cues.score.mean()), float(cues.similarity.mean()), float(cues.magnitude.mean())
