"""What a gate is tied to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from maclip_runtime.vocabulary import Precision, Preset, ViewMode

if TYPE_CHECKING:
    from maclip_runtime.scorer import Scorer


@dataclass(frozen=True)
class GateSettings:
    """What makes scores comparable: with another bundle, preset or view mode it is another gate.

    `weights_sha256`, `prompts_sha256`: of the bundle's weights, named `weights`, and of its prompts.
    `precision`: of the graph that scored; others differ by less than a threshold's own error.
    """

    weights: str
    weights_sha256: str
    prompts_sha256: str
    preset: Preset
    view_mode: ViewMode
    precision: Precision
    exif_orientation: bool


def find_settings(scorer: Scorer) -> GateSettings:
    """The settings of a scorer."""
    weights = scorer.bundle.manifest.weights
    return GateSettings(
        weights=weights.name,
        weights_sha256=weights.sha256,
        prompts_sha256=scorer.bundle.find("prompts").sha256,
        preset=scorer.preset,
        view_mode=scorer.engine.view_mode,
        precision=scorer.engine.precision,
        exif_orientation=scorer.exif_orientation,
    )
