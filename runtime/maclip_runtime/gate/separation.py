"""How well a quantity separates pictures to accept from pictures to reject: ROC and its area.

Higher values are better throughout: a picture is rejected when its value is below the threshold. The area
(AUC) is the probability that an accepted picture's value exceeds a rejected one's, ties counted half
(Mann and Whitney, 1947; Hanley and McNeil, 1982).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]
Interval = tuple[float, float]

CONFIDENCE = 0.95
_RESAMPLES = 4000
_MOST_CORRECTED = 1000  # pictures up to which a bootstrap interval is corrected
_SEED = 20251109  # the same numbers give the same interval


@dataclass(frozen=True)
class Roc:
    """The receiver operating characteristic, one point per threshold, from reject nothing to everything.

    `thresholds`: reject what is below. `false_reject`: part of the accepted that is rejected;
    `caught`: part of the rejected that is. All float64 `[P]`, rising.
    """

    thresholds: Values
    false_reject: Values
    caught: Values


@dataclass(frozen=True)
class Separation:
    """AUC with a 95 % interval, `method` saying how the interval was found."""

    auc: float
    interval: Interval
    method: str


def trace_roc(accept: Values, reject: Values) -> Roc:
    """The ROC of two samples of values `[N]`."""
    thresholds = np.append(np.unique(np.concatenate([accept, reject])), np.inf)
    false_reject = np.searchsorted(np.sort(accept), thresholds) / len(accept)
    caught = np.searchsorted(np.sort(reject), thresholds) / len(reject)
    return Roc(thresholds, false_reject, caught)


def measure_auc(accept: Values, reject: Values) -> float:
    """Area under the ROC, in 0..1; 0.5 is chance, less says that the quantity runs the other way."""
    ordered = np.sort(reject)
    below = np.searchsorted(ordered, accept, side="left").sum()
    not_above = np.searchsorted(ordered, accept, side="right").sum()
    return float((below + not_above) / (2 * len(accept) * len(reject)))


def measure_separation(accept: Values, reject: Values) -> Separation:
    """AUC and its interval.

    The interval is a bootstrap's, bias-corrected and accelerated (Efron, 1987), accepted and rejected
    pictures resampled apart: it needs no shape of the distributions, keeps within 0..1 and bends where
    the AUC is near 1, where the symmetric interval of DeLong's variance does not. With more than a
    thousand pictures it is the bootstrap's plain percentiles: the correction shrinks with their number,
    while its jackknife grows with the square. Samples that do not
    overlap have no variance to resample; their bound is the exact binomial one (Clopper and Pearson,
    1934) for min(N, M) disjoint pairs that all came out right, which errs on the careful side.
    """
    auc = measure_auc(accept, reject)
    pairs = min(len(accept), len(reject))
    if auc in (0.0, 1.0):
        bound = ((1 - CONFIDENCE) / 2) ** (1 / pairs)
        return Separation(
            auc, (bound, 1.0) if auc == 1.0 else (0.0, 1 - bound), "exact, disjoint pairs"
        )
    if pairs < 2 or len(np.unique(np.concatenate([accept, reject]))) == 1:
        return Separation(auc, (0.0, 1.0), "none: too few pictures, or all alike")
    large = max(len(accept), len(reject)) > _MOST_CORRECTED
    found = stats.bootstrap(
        (accept, reject),
        measure_auc,
        n_resamples=_RESAMPLES,
        vectorized=False,
        confidence_level=CONFIDENCE,
        method="percentile" if large else "BCa",
        batch=100,
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    low, high = float(found.low), float(found.high)
    if np.isnan(low) or np.isnan(high):  # the acceleration of a sample that hardly varies
        return Separation(auc, (0.0, 1.0), "none: the bootstrap found no variance")
    return Separation(auc, (low, high), f"bootstrap, {'percentiles' if large else 'BCa'}")
