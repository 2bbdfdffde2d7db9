"""The report of the ladders: a table a kind, JSON, and a plot of score against severity per kind."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distortion_ladders import Climb, Ranking, rank_all
from judging import CUE_TITLES, CUES
from maclip_runtime import Scorer
from maclip_runtime.method.head import Head
from tables import (
    describe_bundle,
    describe_constants,
    describe_weights,
    format_number,
    format_table,
    prepare_folder,
    write_csv,
    write_json,
)

_COLUMNS = 4  # panels beside each other
_FIGURES = ("all", "each", "order")
_COLOURS = {"score": "black", "similarity": "tab:blue", "magnitude": "tab:orange"}


def write_report(
    folder: Path, climb: Climb, scorer: Scorer, constants: Head, seen: Collection[str]
) -> str:
    """Write ladders.md, ladders.json, ladders.csv and ladders.png; returns the Markdown.

    seen: kinds that the encoder was trained on, which the report sets apart.
    """
    prepare_folder(folder)
    rankings = rank_all(climb)
    text = _write_markdown(climb, rankings, scorer, constants, seen)
    (folder / "ladders.md").write_text(text, encoding="utf-8")
    plan = climb.plan
    record = {
        **describe_bundle(scorer),
        "constants": asdict(constants),
        "pictures": [path.name for path in climb.pictures],
        "failures": [{"path": e.picture, "error": e.reason} for e in climb.failures],
        "severities": list(plan.rungs),
        "seed": plan.seed,
        "encoded": climb.encoded,
        "cached": climb.cached,
        "seen_in_training": [kind for kind in plan.kinds if kind in seen],
        "kinds": {
            kind: {name: asdict(ranking) for name, ranking in cues.items()}
            for kind, cues in rankings.items()
        },
    }
    write_json(folder / "ladders.json", record)
    write_csv(
        folder / "ladders.csv",
        ("picture", "kind", "severity", *CUES),
        (
            (path.name, kind, severity, *(f"{value:.7g}" for value in climb.values[p, k, r]))
            for p, path in enumerate(climb.pictures)
            for k, kind in enumerate(plan.kinds)
            for r, severity in enumerate(plan.rungs)
        ),
    )
    _draw_ladders(climb, rankings, scorer.bundle.name, seen).savefig(
        folder / "ladders.png", dpi=100
    )
    return text


def _write_markdown(
    climb: Climb,
    rankings: dict[str, dict[str, Ranking]],
    scorer: Scorer,
    constants: Head,
    seen: Collection[str],
) -> str:
    plan = climb.plan
    lines = [
        f"# Distortion ladders with {scorer.bundle.name}\n\n",
        f"{len(climb.pictures)} pictures, {len(plan.kinds)} kinds, {len(plan.severities)} severities "
        f"above the pristine rung, seed {plan.seed}; {describe_weights(scorer)}, "
        f"preset {scorer.preset}, {describe_constants(constants)}.\n\n",
    ]
    header = ("kind", *(f"{CUE_TITLES[name]}: {figure}" for name in CUES for figure in _FIGURES))
    for title, kinds in _group_kinds(plan.kinds, seen):
        rows = [(_name(kind), *_format_rankings(rankings[kind])) for kind in kinds]
        if len(kinds) > 1:
            rows.append(("**mean**", *_format_rankings(_average([rankings[k] for k in kinds]))))
        lines += [f"## {title}\n\n" if title else "", format_table(header, rows), "\n"]
    lines.append(
        "All: SRCC of severity against falling scores, over all rungs of all pictures; 1 is perfect, "
        "0 is chance. Each: the same in each picture by itself, averaged; it leaves out that scores "
        "differ between pictures of equal quality. Order: the share of neighbouring rungs of which "
        "the milder one scores higher; 0.5 is chance. The ladders say whether scores fall with one "
        "distortion of one picture, not whether they agree with people.\n"
    )
    if climb.failures:
        lines.append(f"\n{len(climb.failures)} pictures could not be read:\n\n")
        lines += [f"- {failure}\n" for failure in climb.failures]
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


def _format_rankings(cues: dict[str, Ranking]) -> tuple[str, ...]:
    return tuple(
        format_number(figure, 2)
        for name in CUES
        for figure in (cues[name].srcc, cues[name].within, cues[name].ordered)
    )


def _average(rankings: list[dict[str, Ranking]]) -> dict[str, Ranking]:
    return {
        name: Ranking(
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
    climb: Climb, rankings: dict[str, dict[str, Ranking]], bundle: str, seen: Collection[str]
) -> Figure:
    """A panel a kind: each picture's fused score, and the means of the score and of both cues."""
    kinds = climb.plan.kinds
    columns = min(_COLUMNS, len(kinds))
    rows = math.ceil(len(kinds) / columns)
    figure = Figure(figsize=(3.2 * columns, 2.5 * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for index, (panel, kind) in enumerate(zip(panels, kinds, strict=False)):
        _draw_kind(panel, climb, index)
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


def _draw_kind(panel: Axes, climb: Climb, kind: int) -> None:
    rungs = climb.plan.rungs
    for number, ladder in enumerate(climb.values[:, kind, :, CUES.index("score")]):
        label = "fused score of a picture" if number == 0 else None
        panel.plot(rungs, ladder, color="0.75", linewidth=0.8, label=label)
    for cue, name in enumerate(CUES):
        label = f"mean {CUE_TITLES[name]}"
        width = 2.0 if name == "score" else 1.2
        mean = climb.values[:, kind, :, cue].mean(axis=0)
        panel.plot(rungs, mean, color=_COLOURS[name], linewidth=width, label=label)
    panel.grid(alpha=0.3)
