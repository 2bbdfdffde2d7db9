"""Which pictures should pass: a CSV of path and label, or of path and opinion."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from maclip_runtime.errors import Remedy, UsageError


@dataclass(frozen=True)
class Labelled:
    """A picture that should pass (`accept`) or should not, and the opinion that said so, if one did."""

    path: str
    accept: bool
    opinion: float | None = None


def read_labels(path: Path, *, opinion_cut: float | None = None) -> list[Labelled]:
    """The rows of a CSV with the columns `path` and `label` (accept or reject), or `path` and `opinion`.

    Opinions are numbers, higher for better; `opinion_cut` is the lowest that should pass, and is needed
    for them.
    Paths are relative to the CSV's own folder. UsageError names the line that is not understood.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = set(reader.fieldnames or ())
            rows = list(reader)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a CSV in UTF-8 ({error})") from None
    if "path" not in columns or not columns & {"label", "opinion"}:
        raise UsageError(f"{path}: its first line must name the columns path, and label or opinion")
    if "label" not in columns and opinion_cut is None:
        raise UsageError(
            f"{path}: has opinions and no labels",
            Remedy(
                "say which is the lowest to accept: {opinion_cut}", settings={"opinion_cut": None}
            ),
        )
    read_row = _read_label if "label" in columns else _read_opinion
    found = []
    for line, row in enumerate(rows, start=2):
        if not row["path"]:
            raise UsageError(f"{path}, row {line}: no path")
        found.append(
            read_row(row, str(path.parent / row["path"]), f"{path}, row {line}", opinion_cut)
        )
    return found


def _read_label(row: dict[str, str], picture: str, where: str, cut: float | None) -> Labelled:
    label = (row["label"] or "").strip().lower()
    if label not in ("accept", "reject"):
        raise UsageError(f"{where}: label {label!r:.40}; use accept or reject")
    return Labelled(picture, label == "accept")


def _read_opinion(row: dict[str, str], picture: str, where: str, cut: float | None) -> Labelled:
    try:
        opinion = float(row["opinion"] or "")
    except ValueError:
        opinion = math.nan
    if not math.isfinite(opinion):
        raise UsageError(f"{where}: opinion {row['opinion']!r:.40} is not a number")
    assert cut is not None
    return Labelled(picture, opinion >= cut, opinion)
