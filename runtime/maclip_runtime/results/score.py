"""The result of scoring one picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from maclip_runtime.errors import refuse_unknown
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.head import Cues
from maclip_runtime.method.pixels import Floats
from maclip_runtime.method.quality_map import QualityMap, blend_windows
from maclip_runtime.vocabulary import EngineName, Precision, Preset, ViewMode

QUANTITIES = ("score", "similarity", "magnitude")
"""What every score has beside its attributes. An attribute of one of these names is not told apart."""


@dataclass(frozen=True)
class Score:
    """The quality of one picture; higher is better.

    `score`, `similarity`, `magnitude` and `weight` (of the similarity cue) are means over the views, as are
    `attributes`, the probability of each pair's good prompt by the pair's name; the mean of the scored
    pairs' is `similarity`. `cues` has all of them per view, in view order, the global view last. `views`
    is their number.
    `width` and `height` are the picture's own. `enlarged`: it was smaller than a view and was scaled
    up first, which is out of the published method. `bundle`, `engine`, `precision` and `view_mode`
    say what made the score. `geometry` and `frame_size` (height, width) are of the frame that was scored.
    """

    path: str
    score: float
    similarity: float
    magnitude: float
    weight: float
    attributes: Mapping[str, float]
    views: int
    width: int
    height: int
    enlarged: bool
    preset: Preset
    engine: EngineName
    precision: Precision
    view_mode: ViewMode
    bundle: str
    cues: Cues
    geometry: ViewGeometry
    frame_size: tuple[int, int]

    @property
    def quantities(self) -> dict[str, float]:
        """What can be mapped, sorted and gated by: the score, both cues and the attributes, by name."""
        own: dict[str, float] = {name: getattr(self, name) for name in QUANTITIES}
        return {**own, **self.attributes, **own}

    def map(self, quantity: str = "score") -> QualityMap:
        """Where in the picture a quantity is high or low; UsageError if it is none of `quantities`.

        The windows' values, blended; the global view has no place and is left out.
        """
        refuse_unknown("quantity", quantity, tuple(self.quantities))
        return blend_windows(
            self._values(quantity)[:-1],
            self.geometry,
            self.frame_size,
            quantity=quantity,
            picture_size=(self.height, self.width),
        )

    def _values(self, quantity: str) -> Floats:
        """A quantity of each view, `[V]`."""
        if quantity == "score":
            return self.cues.score
        if quantity in self.cues.values:
            return self.cues.values[quantity]
        return self.cues.attributes[:, list(self.attributes).index(quantity)]

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from maclip_runtime.report.notebook import show_score

        return show_score(self)
