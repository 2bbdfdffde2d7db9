"""What every command that scores does first: open the scorer, and say so where it is the demo's."""

from __future__ import annotations

import os
import warnings
from typing import Literal

from PIL import Image

from maclip_runtime.bundle.bundle import DEMO_NAME
from maclip_runtime.cli.console import tell
from maclip_runtime.cli.options import parse_precision
from maclip_runtime.errors import UsageError, refuse_unknown
from maclip_runtime.results.score import QUANTITIES
from maclip_runtime.scorer import Scorer
from maclip_runtime.vocabulary import EngineChoice, Precision, Preset, ViewMode


def open_scorer(
    bundle: str | None,
    *,
    engine: EngineChoice,
    device: int | None,
    precision: Literal["auto", Precision],
    views: ViewMode = "exact",
    preset: Preset = "native",
    threads: int | None,
    exif_orientation: bool = False,
) -> Scorer:
    """The scorer that the options ask for; without a bundle the demo encoder's, which is said."""
    # The library has its own limit on a picture's size, and says so in an error.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    return Scorer(
        choose_bundle(bundle),
        engine=engine,
        device=device,
        preset=preset,
        precision=parse_precision(precision),
        views=views,
        threads=threads,
        exif_orientation=exif_orientation,
    )


def choose_bundle(bundle: str | None) -> str:
    """The bundle that was asked for; without one the demo encoder's, which is said."""
    if bundle is not None:
        return bundle
    if "MACLIP_BUNDLE" in os.environ:  # click takes an empty one for none
        raise UsageError("MACLIP_BUNDLE is empty", "unset it, or name a bundle")
    tell(
        "no --bundle: scoring with the demo encoder, which is not CLIP; for CLIP's weights run "
        "maclip export --model RN50 --pretrained openai --output rn50.maclip"
    )
    return DEMO_NAME


def check_quantity(scorer: Scorer, quantity: str) -> None:
    """Raise UsageError, before long work begins, unless scores have that quantity."""
    attributes = [pair.name for pair in scorer.bundle.manifest.prompts]
    refuse_unknown("quantity", quantity, (*QUANTITIES, *attributes))


def describe_settings(scorer: Scorer) -> dict[str, str]:
    """What makes a run's scores what they are, name to value, as reports and maps show it."""
    weights = scorer.bundle.manifest.weights
    return {
        "bundle": scorer.bundle.name,
        "weights": f"{weights.name} ({weights.source})",
        "engine": f"{scorer.engine.name}, {scorer.engine.precision}",
        "views": scorer.engine.view_mode,
        "preset": scorer.preset,
    }


DEMO_NOTE = (
    "Scored with the demo encoder, which is not CLIP: scores and attributes are its own, "
    "not the published method's."
)
