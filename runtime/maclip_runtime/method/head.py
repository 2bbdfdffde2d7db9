"""The head of MA-CLIP: from image features to quality (sections 3 to 6 of the method).

Pure functions on float32 arrays; nothing here keeps state or knows which engine made the features.
Symbols follow Magnitude-Aware CLIP (arXiv 2511.09948).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.method.fusion import fuse_cues, weigh_cues
from maclip_runtime.method.magnitude import MagnitudeCue
from maclip_runtime.method.pixels import Floats
from maclip_runtime.method.ranges import Range
from maclip_runtime.method.similarity import SimilarityCue, measure_attributes


class Cue(Protocol):
    """One function of a view's features, with its constants."""

    @property
    def base(self) -> float:
        """Its logit in the fusion."""

    def measure(self, features: Floats, attributes: Floats) -> Floats:
        """The cue of each view `[V]`, from features `[V, D]` and attributes `[V, K]`."""


@dataclass(frozen=True)
class Head:
    """The published constants: of the fusion, `alpha`, and of every cue. A new cue is a field here."""

    alpha: Annotated[float, Range(0, 100)] = 1.0
    similarity: SimilarityCue = field(default_factory=SimilarityCue)
    magnitude: MagnitudeCue = field(default_factory=MagnitudeCue)

    @property
    def cues(self) -> dict[str, Cue]:
        """The cues by name, in order."""
        named = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        del named["alpha"]
        return named


@dataclass(frozen=True)
class CueMeans:
    """Means over the views of a frame; `weight` is the similarity cue's."""

    score: float
    similarity: float
    magnitude: float
    weight: float


@dataclass(frozen=True)
class Cues:
    """Per-view results of a frame, float32, in view order, the global view last.

    `values` and `weights` of every cue by name, `[V]` each; `score` `[V]`; `attributes` `[V, K]`, the
    probability of the good prompt of every pair.
    """

    values: Mapping[str, Floats]
    weights: Mapping[str, Floats]
    score: Floats
    attributes: Floats

    @property
    def similarity(self) -> Floats:
        """The similarity cue `[V]`."""
        return self.values["similarity"]

    @property
    def magnitude(self) -> Floats:
        """The magnitude cue `[V]`."""
        return self.values["magnitude"]

    @property
    def weight(self) -> Floats:
        """The weight of the similarity cue `[V]`."""
        return self.weights["similarity"]

    @property
    def finite(self) -> bool:
        """Whether every value is: finite features may still be beyond the method's arithmetic."""
        found = (self.score, self.attributes, *self.values.values(), *self.weights.values())
        return all(np.isfinite(values).all() for values in found)

    def mean(self, views: NDArray[np.bool_] | slice = slice(None)) -> CueMeans:
        """The means over all views, or over those chosen: the frame's score (section 6)."""
        return CueMeans(
            score=float(self.score[views].mean()),
            similarity=float(self.similarity[views].mean()),
            magnitude=float(self.magnitude[views].mean()),
            weight=float(self.weight[views].mean()),
        )


def score_views(
    features: Floats,
    prompts: Floats,
    logit_scale: float,
    head: Head = Head(),
    scored: Sequence[bool] | None = None,
) -> Cues:
    """Every cue of every view and their fusion.

    features: `[V, D]`, unnormalised. prompts: `[K, 2, D]`, unit length, (good, bad) per pair. logit_scale:
    the logarithm of the factor on the cosine, as CLIP stores it.
    """
    attributes = measure_attributes(features, prompts, logit_scale)
    counted = attributes if scored is None else attributes[:, np.flatnonzero(scored)]
    values = {name: cue.measure(features, counted) for name, cue in head.cues.items()}
    bases = {name: cue.base for name, cue in head.cues.items()}
    weights = weigh_cues(values, bases, head.alpha)
    return Cues(values, weights, fuse_cues(values, weights), attributes)
