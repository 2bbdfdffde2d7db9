"""A gate: one quantity, its threshold, what it was measured with, and what is known about it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from maclip_runtime.bundle.parsing import parse
from maclip_runtime.errors import BundleError, GateError, Remedy
from maclip_runtime.files import write_whole
from maclip_runtime.gate.settings import GateSettings
from maclip_runtime.method.ranges import Range
from maclip_runtime.version import __version__

SCHEMA = 1
Interval = tuple[float, float]
_Part = Annotated[float, Range(0, 1)]
_Count = Annotated[int, Range(1)]
_REMEDY = Remedy("make the gate again", ("gate",))


@dataclass(frozen=True)
class QuantityFigures:
    """How one quantity separates, its threshold, and what is known of both; intervals are 95 %.

    `threshold_interval` has None on a side that so few pictures do not bound. `false_reject` and `caught`
    are parts of the accepted and rejected pictures below the threshold; the first one's interval is for new
    pictures. `srcc` and `plcc`: with the opinions, where there are any.
    """

    auc: _Part
    auc_interval: Interval
    auc_method: str
    threshold: float
    threshold_interval: tuple[float | None, float | None]
    false_reject: _Part
    false_reject_interval: Interval
    caught: _Part
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
    wanted_false_reject: _Part
    accepted: _Count
    rejected: _Count
    needed: _Count
    settings: GateSettings
    figures: dict[str, QuantityFigures]
    warnings: tuple[str, ...] = ()
    created_by: str = f"maclip-edge {__version__}"
    schema: Literal[1] = 1

    def check_settings(self, settings: GateSettings) -> None:
        """Raise GateError, naming what differs, unless scores with `settings` can be held to this gate."""
        differences = {
            "weights": (self.settings.weights_sha256, settings.weights_sha256),
            "prompts": (self.settings.prompts_sha256, settings.prompts_sha256),
            "preset": (self.settings.preset, settings.preset),
            "view mode": (self.settings.view_mode, settings.view_mode),
            "EXIF orientation": (self.settings.exif_orientation, settings.exif_orientation),
        }
        for name, (mine, theirs) in differences.items():
            if mine != theirs:
                raise GateError(
                    f"the gate was made with {name} {mine!s:.16}, and this is {theirs!s:.16}",
                    Remedy("make one with these settings", ("gate",)),
                )

    def to_json(self) -> str:
        """The text of a gate file; `parse_gate` reads it back."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"


def write_gate(path: Path, gate: Gate) -> None:
    """Write a gate file, whole or not at all."""
    write_whole(path, gate.to_json().encode())


def read_gate(path: Path) -> Gate:
    """Read a gate file; GateError, saying where, if any of it is not understood."""
    try:
        return parse_gate(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise GateError(f"{path}: cannot be read ({error})", _REMEDY) from None
    except GateError as error:
        raise error.within(path) from None


def parse_gate(text: str) -> Gate:
    """A gate from the text of its file, strictly: unknown or missing fields and wrong types are errors."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GateError(f"not valid JSON ({error})", _REMEDY) from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is int and schema > SCHEMA:
        raise GateError(
            f"made by a newer maclip-edge (schema {schema}, this one reads {SCHEMA})",
            "upgrade maclip-edge",
        )
    try:
        gate = parse(Gate, data, "gate")
    except BundleError as error:
        raise GateError(error.cause, _REMEDY) from None
    if gate.quantity not in gate.figures:
        raise GateError(f"gate.figures has no {gate.quantity!r}", _REMEDY)
    return gate
