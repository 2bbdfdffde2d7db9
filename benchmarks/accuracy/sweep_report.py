"""The report of a sweep: Markdown tables, JSON and heat maps, the published setting marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks.accuracy.grids import PUBLISHED_SETTING, Grid, Views
from benchmarks.accuracy.head import list_constants
from benchmarks.accuracy.provenance import describe_bundle, describe_constants, list_failures
from benchmarks.accuracy.readers import Dataset
from benchmarks.report import format_number, format_table, make_figure, write_files
from maclip_runtime import Scorer


def write_report(
    folder: Path, dataset: Dataset, scorer: Scorer, views: Views, grids: tuple[Grid, ...]
) -> str:
    """Write sweep.md, sweep.json and sweep.png; returns the Markdown."""
    text = _write_markdown(dataset, scorer, views, grids)
    record = {
        "dataset": dataset.name,
        **describe_bundle(scorer),
        "pictures": len(views.opinions),
        "failures": list_failures(views.failures),
        "published_setting": list_constants(PUBLISHED_SETTING),
        "grids": [_to_record(grid) for grid in grids],
    }
    plot = _draw_grids(grids, f"{dataset.title}, bundle {scorer.bundle.name}")
    write_files(folder, {"sweep.md": text, "sweep.json": record, "sweep.png": plot})
    return text


def _write_markdown(dataset: Dataset, scorer: Scorer, views: Views, grids: tuple[Grid, ...]) -> str:
    failed = f", {len(views.failures)} failed" if views.failures else ""
    lines = [
        f"# {dataset.title} with {scorer.bundle.name}: SRCC over the head's constants\n\n",
        f"{len(views.opinions)} pictures{failed}, preset {scorer.preset}. The published setting "
        f"({describe_constants(PUBLISHED_SETTING)}) is in bold. This reports; nothing is tuned: the "
        "best cell of a grid is chosen on the pictures it is measured on.\n",
    ]
    for grid in grids:
        rows = [
            (f"{value:g}", *(_format_cell(grid, r, c) for c in range(len(grid.columns))))
            for r, value in enumerate(grid.rows)
        ]
        header = (f"{grid.row_name} \\ {grid.column_name}", *(f"{c:g}" for c in grid.columns))
        lines += [
            f"\n## SRCC over {grid.title}\n\n",
            format_table(header, rows),
            _describe_best(grid),
        ]
    lines.append(
        "\nOnly the difference of the two bases enters the weights, so that grid is constant along "
        "its diagonals.\n"
    )
    return "".join(lines)


def _describe_best(grid: Grid) -> str:
    if np.isnan(grid.srcc).all():
        return "\nnot defined: all scores are equal\n"
    row, column = np.unravel_index(np.nanargmax(grid.srcc), grid.srcc.shape)
    return (
        f"\npublished {format_number(float(grid.srcc[grid.published]))}, "
        f"best of the grid {format_number(float(grid.srcc[row, column]))} "
        f"({grid.row_name} {grid.rows[row]:g}, {grid.column_name} {grid.columns[column]:g})\n"
    )


def _format_cell(grid: Grid, row: int, column: int) -> str:
    text = format_number(float(grid.srcc[row, column]))
    return f"**{text}**" if (row, column) == grid.published else text


def _to_record(grid: Grid) -> dict[str, Any]:
    return {
        "title": grid.title,
        grid.row_name: list(grid.rows),
        grid.column_name: list(grid.columns),
        "srcc": grid.srcc.tolist(),
        "published": list(grid.published),
    }


def _draw_grids(grids: tuple[Grid, ...], title: str) -> Figure:
    figure = make_figure(6.2 * len(grids), 5, dpi=120)
    for panel, grid in zip(np.atleast_1d(figure.subplots(1, len(grids))), grids, strict=True):
        _draw_grid(figure, panel, grid)
    figure.suptitle(f"SRCC over the head's constants: {title}")
    return figure


def _draw_grid(figure: Figure, panel: Axes, grid: Grid) -> None:
    image = panel.imshow(grid.srcc, cmap="viridis", aspect="auto", origin="lower")
    low, high = image.get_clim()
    middle = ((low or 0.0) + (high or 0.0)) / 2
    for (row, column), value in np.ndenumerate(grid.srcc):
        colour = "white" if value < middle else "black"
        panel.text(
            column,
            row,
            format_number(float(value)),
            ha="center",
            va="center",
            color=colour,
            fontsize=7,
        )
    row, column = grid.published
    frame = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=2.5)
    panel.add_patch(frame)
    panel.set_xticks(range(len(grid.columns)), [f"{value:g}" for value in grid.columns])
    panel.set_yticks(range(len(grid.rows)), [f"{value:g}" for value in grid.rows])
    panel.set_xlabel(grid.column_name)
    panel.set_ylabel(grid.row_name)
    panel.set_title(f"{grid.title}\n(red: the published setting)", fontsize=9)
    figure.colorbar(image, ax=panel, label="SRCC")
