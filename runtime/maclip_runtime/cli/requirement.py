"""What pictures are required to reach: --min-score, or a gate file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maclip_runtime.cli.console import tell
from maclip_runtime.errors import UsageError
from maclip_runtime.gate.gate import read_gate
from maclip_runtime.gate.settings import find_settings
from maclip_runtime.results.record import Record
from maclip_runtime.results.score import Score
from maclip_runtime.scorer import Scorer


@dataclass(frozen=True)
class Requirement:
    """Pictures are required to have a `quantity` of at least `threshold`."""

    quantity: str
    threshold: float

    def is_met(self, score: Score) -> bool:
        """Whether a picture meets it; a value that is no number does not."""
        return score.quantities[self.quantity] >= self.threshold

    def is_met_by(self, record: Record) -> bool:
        """Whether a picture met it, from what was kept of its score."""
        attributes = record["attributes"]
        assert isinstance(attributes, dict)
        return float({**attributes, **record}[self.quantity]) >= self.threshold  # type: ignore[arg-type]

    def describe_miss(self, score: Score) -> str:
        """What a picture lacks that does not meet it."""
        value = score.quantities[self.quantity]
        return f"{score.path}: {self.quantity} {value:.4f} is below {self.threshold:.4f}"


def open_requirement(
    scorer: Scorer, min_score: float | None, gate: Path | None
) -> Requirement | None:
    """What the options require, if they do; MaclipError if these scores cannot be held to it."""
    if gate is None:
        return None if min_score is None else Requirement("score", min_score)
    if min_score is not None:
        raise UsageError("give --min-score or --gate, not both")
    opened, settings = read_gate(gate), find_settings(scorer)
    opened.check_settings(settings)
    if opened.settings.precision != settings.precision:
        tell(
            f"{gate}: made in {opened.settings.precision}, and this is {settings.precision}: scores "
            "near the threshold may fall on its other side"
        )
    return Requirement(opened.quantity, opened.threshold)
