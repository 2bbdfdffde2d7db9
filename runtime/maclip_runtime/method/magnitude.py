"""Magnitude cue (section 4 of the method): the shape of |features|, through a Box-Cox transform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from maclip_runtime.method.pixels import Floats
from maclip_runtime.method.ranges import Range

_STD_FLOOR = np.float32(1e-6)  # the published method's guard in the denominator


def measure_magnitude(features: Floats, boxcox_lambda: float) -> Floats:
    """Box-Cox of |features| averaged over the channels, `[V]` from features `[V, D]`.

    The magnitudes are divided by their own standard deviation over the channels (unbiased), which
    makes the cue independent of the features' scale. The transform is `((m + 1)^lambda - 1) / lambda`
    and its limit `log(m + 1)` at lambda = 0.
    """
    magnitude = np.abs(features)
    spread = magnitude.std(axis=1, ddof=1, keepdims=True, dtype=np.float32)
    log_term = np.log1p(magnitude / (spread + _STD_FLOOR))
    if boxcox_lambda == 0:
        transformed = log_term
    else:  # expm1 keeps the digits that `(m + 1)^lambda - 1` loses as lambda nears 0
        lam = np.float32(boxcox_lambda)
        transformed = np.expm1(lam * log_term) / lam
    return transformed.mean(axis=1, dtype=np.float32)


@dataclass(frozen=True)
class MagnitudeCue:
    """The shape of the magnitudes; `base` is its logit in the fusion."""

    base: Annotated[float, Range(-100, 100)] = 0.6
    boxcox_lambda: Annotated[float, Range(-10, 10)] = 0.5

    def measure(self, features: Floats, attributes: Floats) -> Floats:
        """The cue `[V]` of features `[V, D]`."""
        return measure_magnitude(features, self.boxcox_lambda)
