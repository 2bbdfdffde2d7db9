"""The report of the ladders: a table a kind, JSON, and a plot of score against severity per kind."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.accuracy.head import CUE_TITLES, CUES, list_constants
from benchmarks.accuracy.ladders import LadderScores, rank_all
from benchmarks.accuracy.provenance import (
    describe_bundle,
    describe_constants,
    describe_weights,
    list_failures,
)
from benchmarks.report import Content, Rows, format_number, format_table, make_figure, write_files
from maclip_export.quality.ladders import SeverityRanking
from maclip_runtime import Scorer
from maclip_runtime.method.head import Head

Rankings = dict[str, dict[str, SeverityRanking]]

_COLUMNS = 4  # panels beside each other
_FIGURES = ("all", "each", "order")
_COLOURS = {"score": "black", "similarity": "tab:blue", "magnitude": "tab:orange"}


def write_report(
    folder: Path,
    scores: LadderScores,
    scorer: Scorer,
    constants: Head,
    seen: Collection[str],
) -> str:
    """Write ladders.md, ladders.json, ladders.csv and ladders.png; returns the Markdown.

    seen: kinds that the encoder was trained on, which the report sets apart.
    """
    rankings = rank_all(scores)
    text = _write_markdown(scores, rankings, scorer, constants, seen)
    files: dict[str, Content] = {
        "ladders.md": text,
        "ladders.json": _to_record(scores, rankings, scorer, constants, seen),
        "ladders.csv": _list_rows(scores),
        "ladders.png": _draw_ladders(scores, rankings, scorer.bundle.name, seen),
    }
    write_files(folder, files)
    return text


def _to_record(
    scores: LadderScores,
    rankings: Rankings,
    scorer: Scorer,
    constants: Head,
    seen: Collection[str],
) -> dict[str, Any]:
    settings = scores.settings
    return {
        **describe_bundle(scorer),
        "constants": list_constants(constants),
        "pictures": [path.name for path in scores.pictures],
        "failures": list_failures(scores.failures),
        "severities": list(settings.levels),
        "seed": settings.seed,
        "encoded": scores.encoded,
        "cached": scores.cached,
        "seen_in_training": [kind for kind in settings.kinds if kind in seen],
        "kinds": {
            kind: {name: asdict(ranking) for name, ranking in cues.items()}
            for kind, cues in rankings.items()
        },
    }


def _list_rows(scores: LadderScores) -> Rows:
    return Rows(
        ("picture", "kind", "severity", *CUES),
        (
            (path.name, kind, severity, *(f"{value:.7g}" for value in scores.values[p, k, level]))
            for p, path in enumerate(scores.pictures)
            for k, kind in enumerate(scores.settings.kinds)
            for level, severity in enumerate(scores.settings.levels)
        ),
    )


def _write_markdown(
    scores: LadderScores,
    rankings: Rankings,
    scorer: Scorer,
    constants: Head,
    seen: Collection[str],
) -> str:
    settings = scores.settings
    lines = [
        f"# Distortion ladders with {scorer.bundle.name}\n\n",
        f"{len(scores.pictures)} pictures, {len(settings.kinds)} kinds, "
        f"{len(settings.severities)} severities above the pristine picture, seed {settings.seed}; "
        f"{describe_weights(scorer)}, preset {scorer.preset}, {describe_constants(constants)}.\n\n",
    ]
    header = ("kind", *(f"{CUE_TITLES[name]}: {figure}" for name in CUES for figure in _FIGURES))
    for title, kinds in _group_kinds(settings.kinds, seen):
        rows = [(_name(kind), *_format_rankings(rankings[kind])) for kind in kinds]
        if len(kinds) > 1:
            rows.append(("**mean**", *_format_rankings(_average([rankings[k] for k in kinds]))))
        lines += [f"## {title}\n\n" if title else "", format_table(header, rows), "\n"]
    lines.append(
        "All: SRCC of severity against falling scores, over all severities of all pictures; 1 is perfect, "
        "0 is chance. Each: the same in each picture by itself, averaged; it leaves out that scores "
        "differ between pictures of equal quality. Order: the share of neighbouring severities of which "
        "the milder one scores higher; 0.5 is chance. The ladders say whether scores fall with one "
        "distortion of one picture, not whether they agree with people.\n"
    )
    if scores.failures:
        lines.append(f"\n{len(scores.failures)} pictures could not be read:\n\n")
        lines += [f"- {failure}\n" for failure in scores.failures]
    return "".join(lines)


def _group_kinds(
    kinds: tuple[str, ...], seen: Collection[str]
) -> list[tuple[str, tuple[str, ...]]]:
    if not seen:
        return [("", kinds)]
    groups = [
        ("Kinds that the encoder never saw in training", tuple(k for k in kinds if k not in seen)),
        ("Kinds that it was trained on", tuple(k for k in kinds if k in seen)),
    ]
    return [group for group in groups if group[1]]


def _format_rankings(cues: dict[str, SeverityRanking]) -> tuple[str, ...]:
    return tuple(
        format_number(figure, 2)
        for name in CUES
        for figure in (cues[name].srcc, cues[name].within, cues[name].ordered)
    )


def _average(rankings: list[dict[str, SeverityRanking]]) -> dict[str, SeverityRanking]:
    return {
        name: SeverityRanking(
            *(
                float(np.mean([getattr(cues[name], field) for cues in rankings]))
                for field in ("srcc", "within", "ordered")
            )
        )
        for name in CUES
    }


def _name(kind: str) -> str:
    return kind.replace("_", " ")


def _draw_ladders(
    scores: LadderScores, rankings: Rankings, bundle: str, seen: Collection[str]
) -> Figure:
    """A panel a kind: each picture's fused score, and the means of the score and of both cues."""
    kinds = scores.settings.kinds
    columns = min(_COLUMNS, len(kinds))
    rows = math.ceil(len(kinds) / columns)
    figure = make_figure(3.2 * columns, 2.5 * rows + 0.8, dpi=100)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for index, (panel, kind) in enumerate(zip(panels, kinds, strict=False)):
        _draw_kind(panel, scores, index)
        note = ", trained on" if kind in seen else ""
        srcc = format_number(rankings[kind]["score"].srcc, 2)
        panel.set_title(f"{_name(kind)}{note}: SRCC {srcc}", fontsize=9)
    for panel in panels[len(kinds) :]:
        panel.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    for panel in panels[max(0, len(kinds) - columns) : len(kinds)]:
        panel.set_xlabel("severity", fontsize=9)
    figure.suptitle(f"Scores along distortion ladders, bundle {bundle}")
    return figure


def _draw_kind(panel: Axes, scores: LadderScores, kind: int) -> None:
    levels = scores.settings.levels
    for number, ladder in enumerate(scores.values[:, kind, :, CUES.index("score")]):
        label = "fused score of a picture" if number == 0 else None
        panel.plot(levels, ladder, color="0.75", linewidth=0.8, label=label)
    for cue, name in enumerate(CUES):
        label = f"mean {CUE_TITLES[name]}"
        width = 2.0 if name == "score" else 1.2
        mean = scores.values[:, kind, :, cue].mean(axis=0)
        panel.plot(levels, mean, color=_COLOURS[name], linewidth=width, label=label)
    panel.grid(alpha=0.3)
