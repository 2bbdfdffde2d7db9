"""How every report of speed begins: the machine, the bundle, and the command that measured it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.report import name_command, name_weights
from maclip_runtime.bundle.bundle import Bundle


def describe_run(bundle: Bundle, **settings: object) -> dict[str, Any]:
    """What was measured, as JSON: the bundle, the settings given, and this process's command line."""
    weights = name_weights(bundle.manifest.weights)
    return {"bundle": bundle.name, "weights": weights, **settings, "command": name_command()}


def format_heading(machine: str, run: Mapping[str, Any], extent: str) -> list[str]:
    """The first lines of a report. run: as describe_run gives it; extent: how much was measured."""
    return [
        f"{machine}.",
        f"Bundle {run['bundle']} ({run['weights']}); {extent}.",
        f"Command: `{run['command']}`",
        "",
    ]
