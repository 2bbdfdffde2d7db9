"""The five-parameter logistic that maps objective scores to opinion scores before PLCC and RMSE.

    f(x) = b1 * (1/2 - 1 / (1 + exp(b2 * (x - b3)))) + b4 * x + b5

as in Sheikh, Sabir and Bovik, "A statistical evaluation of recent full reference image quality
assessment algorithms", IEEE TIP 15(11), 2006. Scores are standardised before the fit, since the
magnitude cue spans a few hundredths only and an optimiser that starts from fixed numbers stops early.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import expit

Values = NDArray[np.float64]

PARAMETERS = 5
_STEEPNESSES = (0.5, 2.0, 8.0)  # starts of b2, per standard deviation of the scores


@dataclass(frozen=True)
class Fit:
    """A fitted curve from scores to opinions.

    `kind` is "logistic", or "linear" where the logistic could not be fitted, with the `reason`.
    `parameters` (b1 .. b5) apply to `(score - centre) / spread`; a line has b1 = b2 = b3 = 0.
    `monotone`: whether the curve keeps one direction over the scores it was fitted to; the logistic
    need not, and where it does not, rank correlations before and after the fit differ.
    """

    kind: Literal["logistic", "linear"]
    parameters: tuple[float, float, float, float, float]
    centre: float
    spread: float
    monotone: bool
    reason: str = ""

    def map(self, scores: Values) -> Values:
        """Opinions predicted for `scores`, any shape."""
        return _curve((scores - self.centre) / self.spread, *self.parameters)


def _curve(x: Values, b1: float, b2: float, b3: float, b4: float, b5: float) -> Values:
    values: Values = b1 * (expit(b2 * (x - b3)) - 0.5) + b4 * x + b5
    return values


def fit_logistic(scores: Values, opinions: Values) -> Fit:
    """Fit the curve by least squares, from several starts; falls back to a line and says why.

    scores, opinions: `[N]`. The fallback is taken for fewer distinct scores than would leave a degree
    of freedom, and where no start converges to finite parameters that beat the line.
    """
    centre, spread = float(scores.mean()), float(scores.std())
    if spread == 0:
        level = (0.0, 0.0, 0.0, 0.0, float(opinions.mean()))
        return Fit("linear", level, centre, 1.0, False, "all scores are equal")
    x = (scores - centre) / spread
    slope = float(np.dot(x, opinions - opinions.mean()) / len(x))
    line = Fit("linear", (0.0, 0.0, 0.0, slope, float(opinions.mean())), centre, spread, True)
    if len(np.unique(scores)) <= PARAMETERS:
        return _explain(line, f"needs more than {PARAMETERS} distinct scores")
    span = float(np.ptp(opinions)) or 1.0
    best, best_error = None, float(((line.map(scores) - opinions) ** 2).sum())
    for steepness in _STEEPNESSES:
        start = (np.copysign(span, slope), steepness, 0.0, 0.0, float(opinions.mean()))
        parameters = _optimise(x, opinions, start)
        if parameters is None:
            continue
        error = float(((_curve(x, *parameters) - opinions) ** 2).sum())
        # A line is a logistic too, so the fit may at worst equal it.
        if np.isfinite(error) and error <= best_error:
            best, best_error = parameters, error
    if best is None:
        return _explain(line, "the logistic fit did not converge")
    steps = np.diff(_curve(np.linspace(x.min(), x.max(), 501), *best))
    monotone = bool((steps >= 0).all() or (steps <= 0).all())
    return Fit("logistic", best, centre, spread, monotone)


def _explain(line: Fit, reason: str) -> Fit:
    return Fit("linear", line.parameters, line.centre, line.spread, line.monotone, reason)


def _optimise(
    x: Values, opinions: Values, start: tuple[float, ...]
) -> tuple[float, float, float, float, float] | None:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Its covariance estimate may fail where the optimum itself is fine; it is not used.
            warnings.simplefilter("ignore", OptimizeWarning)
            found, _ = curve_fit(_curve, x, opinions, p0=start, maxfev=10_000)
    except RuntimeError:  # no convergence within maxfev
        return None
    if not np.isfinite(found).all():
        return None
    b1, b2, b3, b4, b5 = (float(value) for value in found)
    return b1, b2, b3, b4, b5
