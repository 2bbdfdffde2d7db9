"""Distortion ladders: a good picture made worse step by step, and how well scores follow.

A ladder is one picture under one kind of distortion at growing severities. What a score should do is known
without asking anybody: fall from each severity to the next. Whether a severity looks as bad in one kind as
in another is not known, so kinds are never compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from maclip_export.quality.distortions import distort
from maclip_runtime.method.pixels import Frame

Values = NDArray[np.float64]


@dataclass(frozen=True)
class LadderSettings:
    """Which ladders to make: kinds, severities in (0, 1] above the pristine picture, and the seed."""

    kinds: tuple[str, ...]
    severities: tuple[float, ...]
    seed: int

    @property
    def levels(self) -> tuple[float, ...]:
        """All severities of a ladder, the pristine 0 first."""
        return (0.0, *self.severities)


@dataclass(frozen=True)
class SeverityRanking:
    """How well scores follow the ladders of one kind; 1 is perfect.

    `srcc`: of severity against falling scores, over all levels of all pictures together. `within`: the
    same in each picture by itself, averaged. `ordered`: the share of neighbouring levels of which the
    milder one scores higher.
    """

    srcc: float
    within: float
    ordered: float


def make_ladder(frame: Frame, kind: str, severities: Iterable[float], seed: int) -> Iterator[Frame]:
    """The frame `[H, W, 3]` under one kind of distortion, at each severity in turn; one pattern for all."""
    for severity in severities:
        yield distort(frame, kind, float(severity), seed)


def correlate_severity(
    severities: Sequence[float] | Values, scores: Sequence[float] | Values
) -> float:
    """SRCC `[-1, 1]` of severities `[L]` against falling scores `[L]`; NaN where all scores are equal."""
    if np.ptp(scores) == 0:
        return float("nan")
    return float(-spearmanr(severities, scores).statistic)


def rank_severities(severities: Sequence[float], scores: Values) -> SeverityRanking:
    """How scores `[P, L]` of P pictures follow the severities `[L]` of one kind."""
    everywhere = np.tile(severities, len(scores))
    return SeverityRanking(
        srcc=correlate_severity(everywhere, scores.ravel()),
        within=float(np.mean([correlate_severity(severities, ladder) for ladder in scores])),
        ordered=float((np.diff(scores, axis=1) < 0).mean()),
    )
