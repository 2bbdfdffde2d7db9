"""Markdown tables, JSON and CSV files of results."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from feature_cache import identify_encoder
from maclip_runtime import Scorer
from maclip_runtime.errors import UsageError
from maclip_runtime.method.head import Head


def format_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is left-aligned, the others right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def format_number(value: float, digits: int = 3) -> str:
    """A number with fixed digits, or a dash where it is not defined."""
    # Adding 0.0 turns the -0.0 that rounding leaves into 0.0.
    return "-" if math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}"


def describe_bundle(scorer: Scorer) -> dict[str, Any]:
    """What made the scores: bundle, weights, graph, engine, preset and versions."""
    manifest = scorer.bundle.manifest
    return {
        "bundle": scorer.bundle.name,
        "weights": manifest.weights.name,
        "weights_source": manifest.weights.source,
        "demo": manifest.weights.demo,
        "graph_sha256": identify_encoder(scorer),
        "preset": scorer.preset,
        "prompts": [[pair.good, pair.bad] for pair in manifest.prompts],
        "versions": {name: version(name) for name in ("maclip-edge", "numpy", "scipy")},
    }


def describe_weights(scorer: Scorer) -> str:
    """The weights in a few words, with a warning where they are not CLIP's."""
    weights = scorer.bundle.manifest.weights
    warning = " (the demo encoder, not CLIP)" if weights.demo else ""
    return f"weights {weights.name}, {weights.source}{warning}"


def describe_constants(constants: Head) -> str:
    """The head's constants in one line."""
    return (
        f"lambda {constants.boxcox_lambda:g}, alpha {constants.alpha:g}, "
        f"bases {constants.similarity_base:g} and {constants.magnitude_base:g}"
    )


def prepare_folder(path: Path) -> Path:
    """Make the folder that results go to; UsageError if it can't be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be made ({error.strerror}); choose another") from None
    return path


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write results as JSON; numbers that are not defined become null."""
    path.write_text(json.dumps(_clean(content), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, float):  # float32 features carry about seven digits
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
