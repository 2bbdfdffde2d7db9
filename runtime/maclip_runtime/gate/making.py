"""From labelled values to a gate: every quantity's figures, and what their numbers cannot support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from maclip_runtime.errors import UsageError
from maclip_runtime.gate.gate import Gate, QuantityFigures
from maclip_runtime.gate.settings import GateSettings

try:
    from scipy import stats

    from maclip_runtime.gate.separation import Values, measure_separation
    from maclip_runtime.gate.threshold import choose_threshold, count_needed
except ModuleNotFoundError as error:
    if error.name is None or not error.name.startswith("scipy"):
        raise
    raise UsageError("maclip gate needs SciPy", "run: pip install 'maclip-edge[gate]'") from None


def make_gate(
    accept: Mapping[str, Sequence[float]],
    reject: Mapping[str, Sequence[float]],
    settings: GateSettings,
    *,
    quantity: str = "score",
    rate: float = 0.01,
    opinions: Sequence[float] | None = None,
) -> Gate:
    """The gate on `quantity`, and the figures of every quantity beside it.

    accept, reject: values by quantity, a value per picture. rate: the wanted false-reject rate.
    opinions: of the accepted pictures and then of the rejected ones, where a cut through opinions told
    them apart.
    UsageError if a group is empty, or `quantity` is none of them.
    """
    if quantity not in accept:
        raise UsageError(f"no quantity {quantity!r}; there are: {', '.join(accept)}")
    figures = {}
    for name in accept:
        good, bad = (np.asarray(group[name], np.float64) for group in (accept, reject))
        threshold = choose_threshold(good, bad, rate)
        separation = measure_separation(good, bad)
        srcc, plcc = _correlate(np.concatenate([good, bad]), opinions)
        figures[name] = QuantityFigures(
            auc=separation.auc,
            auc_interval=separation.interval,
            auc_method=separation.method,
            threshold=threshold.value,
            threshold_interval=threshold.interval,
            false_reject=threshold.false_reject,
            false_reject_interval=threshold.false_reject_interval,
            caught=threshold.caught,
            caught_interval=threshold.caught_interval,
            srcc=srcc,
            plcc=plcc,
        )
    chosen = figures[quantity]
    accepted, rejected = len(accept[quantity]), len(reject[quantity])
    needed = count_needed(rate)
    warnings = find_doubts(chosen, accepted, rejected, needed, rate)
    return Gate(
        quantity, chosen.threshold, rate, accepted, rejected, needed, settings, figures, warnings
    )


def find_doubts(
    figures: QuantityFigures, accepted: int, rejected: int, needed: int, rate: float
) -> tuple[str, ...]:
    """What so many pictures cannot support, a sentence each."""
    doubts = []
    highest = figures.false_reject_interval[1]
    if accepted < needed:
        doubts.append(
            f"{accepted} pictures to accept do not tell a rate of {rate:.3g}: new ones may be rejected at "
            f"up to {highest:.1%}; {needed} would keep that below {2 * rate:.3g}"
        )
    if figures.threshold_interval[0] is None:
        doubts.append(
            f"{accepted} pictures to accept do not bound the threshold from below: their lowest values "
            "may be far from the lowest that will come"
        )
    if rejected < 20:
        low, high = figures.caught_interval
        doubts.append(
            f"{rejected} pictures to reject say little of how many are caught: {low:.0%} to {high:.0%}"
        )
    low, high = figures.auc_interval
    if high < 0.5:
        doubts.append(f"AUC {figures.auc:.3f}: it is lower for pictures to accept; not a gate")
    elif low <= 0.5:
        doubts.append(f"AUC {figures.auc:.3f} is not told from chance ({low:.3f} to {high:.3f})")
    return tuple(doubts)


def _correlate(
    values: Values, opinions: Sequence[float] | None
) -> tuple[float | None, float | None]:
    """SRCC and PLCC of values with opinions; None where one of them is constant."""
    if opinions is None or len(values) < 3:
        return None, None
    if np.ptp(values) == 0 or np.ptp(opinions) == 0:
        return None, None
    return (
        float(stats.spearmanr(values, opinions).statistic),
        float(stats.pearsonr(values, opinions).statistic),
    )
