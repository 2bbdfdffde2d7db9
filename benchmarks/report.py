"""What reports are made of: tables, how a result came about, and the files that it is written to."""

from __future__ import annotations

import csv
import json
import math
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from maclip_runtime.bundle.manifest import Weights
from maclip_runtime.errors import UsageError

if TYPE_CHECKING:  # a device that the GPU benchmark runs on need not have matplotlib
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Rows:
    """What a CSV file holds."""

    header: Sequence[str]
    rows: Iterable[Sequence[object]]


Content: TypeAlias = "str | Mapping[str, Any] | Rows | Figure"


def format_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is left-aligned, the others right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def format_number(value: float, digits: int = 3) -> str:
    """A number with fixed digits, or a dash where it is not defined."""
    # Adding 0.0 turns the -0.0 that rounding leaves into 0.0.
    return "-" if math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}"


def make_figure(width: float, height: float, *, dpi: int) -> Figure:
    """An empty figure, in inches, that makes room for labels by itself."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=dpi, layout="constrained")


def name_weights(weights: Weights) -> str:
    """The weights in a few words: their name and where they are from."""
    return f"{weights.name}, {weights.source}"


def name_command() -> str:
    """The command line of this process, as it is typed in a checkout."""
    spec = sys.modules["__main__"].__spec__
    program = ["-m", spec.name] if spec else [sys.argv[0]]
    return shlex.join(["python", *program, *sys.argv[1:]])


def list_versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_files(folder: Path, files: Mapping[str, Content]) -> None:
    """Write a report's files into a folder: text as it is, a mapping as JSON, rows as CSV, a plot as PNG.

    Raises UsageError if the folder can't be made.
    """
    prepare_folder(folder)
    for name, content in files.items():
        path = folder / name
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif isinstance(content, Rows):
            _write_csv(path, content)
        elif isinstance(content, Mapping):
            write_json(path, content)
        else:
            content.savefig(path)


def prepare_folder(path: Path) -> Path:
    """Make the folder that results go to; UsageError if it can't be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be made ({error.strerror}); choose another") from None
    return path


def write_json(path: Path, content: Mapping[str, Any]) -> None:
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


def _write_csv(path: Path, content: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(content.header)
        writer.writerows(content.rows)
