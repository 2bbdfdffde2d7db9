"""A gate: one quantity, its threshold, what it was measured with, and what is known about it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from maclip_runtime.errors import MaclipError, UsageError
from maclip_runtime.files import write_whole
from maclip_runtime.version import __version__

SCHEMA = 1
Interval = tuple[float, float]


class GateError(MaclipError):
    """A gate file that is missing, damaged, or made for other settings than those in use."""


@dataclass(frozen=True)
class GateSettings:
    """What makes scores comparable: another bundle, preset or view mode is another gate.

    weights_sha256, prompts_sha256: of the bundle's weights and of its `prompts.npz`. precision: of the
    graph that scored; other precisions differ by less than the threshold's own error.
    """

    weights: str
    weights_sha256: str
    prompts_sha256: str
    preset: str
    view_mode: str
    precision: str


@dataclass(frozen=True)
class QuantityFigures:
    """How one quantity separates, its threshold, and what is known of both; intervals are 95 %.

    `threshold_interval` has None on a side that so few pictures do not bound. `false_reject` and `caught`
    are parts of the accepted and rejected pictures below the threshold; the first one's interval is for new
    pictures. `srcc` and `plcc`: with the opinions, where there are any.
    """

    auc: float
    auc_interval: Interval
    auc_method: str
    threshold: float
    threshold_interval: tuple[float | None, float | None]
    false_reject: float
    false_reject_interval: Interval
    caught: float
    caught_interval: Interval
    srcc: float | None = None
    plcc: float | None = None


@dataclass(frozen=True)
class Gate:
    """A picture passes where `quantity` is at least `threshold`.

    `wanted_false_reject`: the rate that the threshold was chosen for, in 0..1. `accepted`, `rejected`:
    how many pictures it was chosen from; `needed`: how many accepted ones it takes to know the rate within
    a factor of two. `warnings`: what those numbers cannot support. `figures`: of every quantity.
    """

    quantity: str
    threshold: float
    wanted_false_reject: float
    accepted: int
    rejected: int
    needed: int
    settings: GateSettings
    figures: dict[str, QuantityFigures]
    warnings: tuple[str, ...] = ()
    created_by: str = f"maclip-edge {__version__}"
    schema: int = SCHEMA

    def passes(self, values: Mapping[str, float]) -> bool:
        """Whether a picture with these values, by quantity, passes; a value that is no number does not."""
        return values[self.quantity] >= self.threshold

    def check_settings(self, settings: GateSettings) -> None:
        """Raise GateError, naming what differs, unless scores with `settings` can be held to this gate."""
        for field in ("weights_sha256", "prompts_sha256", "preset", "view_mode"):
            mine, theirs = getattr(self.settings, field), getattr(settings, field)
            if mine != theirs:
                name = field.removesuffix("_sha256").replace("_", " ")
                raise GateError(
                    f"the gate was made with {name} {mine:.16}, not {theirs:.16}; make one with "
                    "maclip gate and these settings"
                )

    def to_json(self) -> str:
        """The text of a gate file; `parse_gate` reads it back."""
        return json.dumps(asdict(self), indent=1) + "\n"


def write_gate(path: Path, gate: Gate) -> None:
    """Write a gate file, whole or not at all."""
    try:
        write_whole(path, gate.to_json().encode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None


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
    from maclip_runtime.gate.separation import measure_separation
    from maclip_runtime.gate.threshold import choose_threshold, count_needed

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
    values: np.ndarray, opinions: Sequence[float] | None
) -> tuple[float | None, float | None]:
    """SRCC and PLCC of values with opinions; None where one of them is constant."""
    if opinions is None or len(values) < 3:
        return None, None
    if np.ptp(values) == 0 or np.ptp(opinions) == 0:
        return None, None
    from scipy import stats

    return (
        float(stats.spearmanr(values, opinions).statistic),
        float(stats.pearsonr(values, opinions).statistic),
    )
