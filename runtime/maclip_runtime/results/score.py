"""The result of scoring one picture."""

from __future__ import annotations

from dataclasses import dataclass

from maclip_runtime.method.head import Cues
from maclip_runtime.vocabulary import EngineName, Precision, Preset, ViewMode


@dataclass(frozen=True)
class Score:
    """The quality of one picture; higher is better.

    `score`, `similarity`, `magnitude` and `weight` (of the similarity cue) are means over the views;
    `cues` has them per view, in view order, the global view last. `views` is their number.
    `width` and `height` are the picture's own. `enlarged`: it was smaller than a view and was scaled
    up first, which is out of the published method. `bundle`, `engine`, `precision` and `view_mode`
    say what made the score.
    """

    path: str
    score: float
    similarity: float
    magnitude: float
    weight: float
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
