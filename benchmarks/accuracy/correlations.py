"""Agreement of scores with opinions: SRCC, KRCC, PLCC and RMSE, with bootstrap intervals.

PLCC and RMSE are taken after the five-parameter logistic fit, PLCC also before it. For opinion scores
where lower is better, the correlations before the fit change sign, so that a positive number always
means agreement; the fit finds the direction by itself, and RMSE is in the opinions' own units.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.accuracy.logistic import Fit, Values, fit_logistic

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A statistic and its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """How well one series of scores agrees with opinions.

    `srcc`, `krcc` (Kendall's tau-b) and `plcc_raw` are of the scores as they are; `plcc` and `rmse`
    of the fitted ones. `srcc_fitted` is the rank correlation of the fitted scores, which is how the
    published method's own evaluation takes SRCC; it differs from `srcc` only where the curve bends.
    """

    srcc: Estimate
    krcc: Estimate
    plcc_raw: Estimate
    plcc: Estimate
    rmse: Estimate
    srcc_fitted: float
    fit: Fit


def correlate_ranks(first: Values, second: Values) -> float:
    """Spearman's rank correlation; NaN if a series is constant."""
    return _correlate(stats.spearmanr, first, second)


def correlate_pairs(first: Values, second: Values) -> float:
    """Kendall's tau-b; NaN if a series is constant."""
    return _correlate(stats.kendalltau, first, second)


def correlate_values(first: Values, second: Values) -> float:
    """Pearson's correlation; NaN if a series is constant."""
    return _correlate(stats.pearsonr, first, second)


def _correlate(measure: Callable[..., Any], first: Values, second: Values) -> float:
    # scipy warns about constant series and returns NaN; resamples of few pictures are often constant.
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(measure(first, second).statistic)


def measure_agreement(
    scores: Values,
    opinions: Values,
    contents: Sequence[str],
    *,
    higher_is_better: bool,
    resamples: int,
    seed: int,
) -> Agreement:
    """Every statistic of `scores` `[N]` against `opinions` `[N]`.

    contents: `[N]`, the scene of each picture. The intervals are percentiles of a bootstrap that
    resamples scenes with all their pictures (scipy.stats.bootstrap, seeded) and keeps the fitted
    curve. resamples = 0 leaves them out.
    """
    fit = fit_logistic(scores, opinions)
    fitted = fit.map(scores)
    sign = 1.0 if higher_is_better else -1.0

    def measure(chosen: NDArray[np.intp]) -> Values:
        some, rated, mapped = scores[chosen], opinions[chosen], fitted[chosen]
        return np.array(
            [
                sign * correlate_ranks(some, rated),
                sign * correlate_pairs(some, rated),
                sign * correlate_values(some, rated),
                correlate_values(mapped, rated),
                np.sqrt(np.mean((mapped - rated) ** 2)),
            ]
        )

    values = measure(np.arange(len(scores)))
    low, high = _bootstrap(measure, contents, resamples, seed, len(values))
    srcc, krcc, plcc_raw, plcc, rmse = (
        Estimate(float(v), float(a), float(b)) for v, a, b in zip(values, low, high, strict=True)
    )
    return Agreement(srcc, krcc, plcc_raw, plcc, rmse, correlate_ranks(fitted, opinions), fit)


def _bootstrap(
    measure: Callable[[NDArray[np.intp]], Values],
    contents: Sequence[str],
    resamples: int,
    seed: int,
    count: int,
) -> tuple[Values, Values]:
    names, scene_of = np.unique(np.asarray(contents, dtype=str), return_inverse=True)
    nothing = np.full(count, np.nan)
    if resamples == 0 or len(names) < 2:
        return nothing, nothing
    order = np.argsort(scene_of, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(scene_of))[:-1])

    def measure_scenes(scenes: NDArray[np.intp]) -> Values:
        if len(names) == len(contents):  # a picture a scene: nothing to gather
            return measure(order[scenes])
        return measure(np.concatenate([members[scene] for scene in scenes]))

    with warnings.catch_warnings():
        # Where a resample has no correlation (few scenes, equal scores) there is no interval, and
        # the NaN says so.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (np.arange(len(names)),),
            measure_scenes,
            n_resamples=resamples,
            batch=50,  # bounds memory to this many resamples of the whole dataset
            vectorized=False,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    return result.confidence_interval.low, result.confidence_interval.high
