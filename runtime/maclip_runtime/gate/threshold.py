"""The threshold for a wanted false-reject rate, and how well so many pictures can know it.

Nothing here assumes a distribution: the threshold is an order statistic of the accepted pictures'
values, and what it will do to new pictures follows a beta distribution whatever the values' own
(Wilks, 1941).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from maclip_runtime.errors import UsageError
from maclip_runtime.gate.separation import CONFIDENCE, Interval, Values

_TAIL = (1 - CONFIDENCE) / 2


@dataclass(frozen=True)
class Threshold:
    """Reject what is below `value`.

    `interval`: 95 % for the quantile of all acceptable pictures that it estimates; None where so few
    pictures bound it on one side only or not at all. `false_reject` of the pictures at hand, and
    `false_reject_interval` of new ones (95 %). `caught`: part of the rejected pictures that are
    below, with `caught_interval` (Clopper-Pearson).
    """

    value: float
    interval: tuple[float | None, float | None]
    false_reject: float
    false_reject_interval: Interval
    caught: float
    caught_interval: Interval


def choose_threshold(accept: Values, reject: Values, rate: float) -> Threshold:
    """The highest threshold that rejects at most `rate` (in 0..1) of the accepted pictures.

    accept, reject: values `[N]`, `[M]`. UsageError if there are none, or the rate is not within 0..0.5.
    """
    if not (0 < rate <= 0.5):
        raise UsageError(
            f"a false-reject rate of {rate:g}: give one above 0 and up to 0.5, such as 0.01"
        )
    if not len(accept) or not len(reject):
        raise UsageError(
            "a gate needs pictures to accept and pictures to reject, at least one of each"
        )
    ordered = np.sort(accept)
    number = len(ordered)
    rejected = _count_rejected(number, rate)
    value = float(ordered[rejected])
    quantile = stats.quantile_test(ordered, q=value, p=rate).confidence_interval(CONFIDENCE)
    caught = int((reject < value).sum())
    # Ties below the threshold can only make it reject fewer.
    observed = int((ordered < value).sum())
    proportion = stats.binomtest(caught, len(reject)).proportion_ci(CONFIDENCE)
    return Threshold(
        value=value,
        interval=(_finite(quantile.low), _finite(quantile.high)),
        false_reject=observed / number,
        false_reject_interval=_predict_false_reject(number, rate),
        caught=caught / len(reject),
        caught_interval=(float(proportion.low), float(proportion.high)),
    )


def count_needed(rate: float, factor: float = 2.0) -> int:
    """Accepted pictures needed to know that the false-reject rate stays below `factor` times `rate`.

    With so many, 97.5 % of thresholds chosen as above do; and the quantile is bounded on both sides.
    """
    bounded = math.ceil(math.log(_TAIL) / math.log1p(-rate))
    # Between steps of the count that a rate allows, more pictures only help.
    steps = (math.ceil(rejected / rate - 1e-9) for rejected in itertools.count(1))
    known = next(n for n in steps if _predict_false_reject(n, rate)[1] <= factor * rate)
    return max(bounded, known)


def _count_rejected(number: int, rate: float) -> int:
    """How many of `number` a rate allows; a hair more, so that 0.07 of 100 is 7 in binary too."""
    return math.floor(number * rate + 1e-9)


def _predict_false_reject(number: int, rate: float) -> Interval:
    """95 % interval of the rate at which new acceptable pictures fall below the chosen threshold.

    The probability below the (k + 1)-th of n order statistics is distributed as Beta(k + 1, n - k).
    """
    rejected = _count_rejected(number, rate)
    low, high = stats.beta(rejected + 1, number - rejected).ppf([_TAIL, 1 - _TAIL])
    return float(low), float(high)


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
