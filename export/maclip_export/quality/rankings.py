"""How scores of the same pictures agree: in their order, and in their values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from maclip_runtime.bundle.manifest import Agreement


def compare_rankings(scores: Sequence[float], reference: Sequence[float]) -> Agreement:
    """Agreement of scores with the float32 reference's of the same pictures, in the same order.

    SRCC is Spearman's rank correlation, NaN where either side is constant; the differences are
    `scores - reference`, their mean signed, their largest absolute.
    """
    differences = np.subtract(scores, reference)
    return Agreement(
        srcc=float(spearmanr(scores, reference).statistic),
        mean_difference=float(differences.mean()),
        largest_difference=float(np.abs(differences).max()),
        pictures=len(scores),
    )
