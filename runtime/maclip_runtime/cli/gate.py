"""`maclip gate`: the threshold for a quality gate, with its errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from maclip_runtime.cli.console import show_progress, tell
from maclip_runtime.cli.options import (
    BundleOption,
    DeviceOption,
    EngineOption,
    ExifOption,
    PrecisionOption,
    PresetOption,
    RecursiveOption,
    ThreadsOption,
    ViewsOption,
)
from maclip_runtime.cli.scoring import check_quantity, open_scorer
from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.files import check_output, write_whole
from maclip_runtime.gate.gate import Gate, write_gate
from maclip_runtime.gate.labels import Labelled, read_labels
from maclip_runtime.gate.settings import find_settings
from maclip_runtime.report.drawing import check_suffix, encode_picture
from maclip_runtime.scorer import Scorer
from maclip_runtime.sources.paths import find_pictures

Values = dict[str, list[float]]


def gate(
    accept: Annotated[
        list[str] | None,
        typer.Option(
            help="Pictures that should pass: a file, a directory or a glob. May be repeated.",
            metavar="PATH",
        ),
    ] = None,
    reject: Annotated[
        list[str] | None,
        typer.Option(help="Pictures that should not; as --accept.", metavar="PATH"),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Instead: a CSV with the columns path and label (accept or reject), or path and "
            "opinion.",
            metavar="CSV",
        ),
    ] = None,
    opinion_cut: Annotated[
        float | None,
        typer.Option(help="The lowest opinion that should pass.", metavar="OPINION"),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            help="What the gate looks at: score, similarity, magnitude, or an attribute by its name.",
            metavar="QUANTITY",
        ),
    ] = "score",
    false_reject: Annotated[
        float,
        typer.Option(
            help="Part of the pictures that should pass that may be rejected.", metavar="PART"
        ),
    ] = 0.01,
    output: Annotated[
        Path | None,
        typer.Option(help="Write the gate to this file, for --gate.", metavar="FILE"),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw distributions and ROC: .png, .jpg or .webp.", metavar="FILE"),
    ] = None,
    format: Annotated[
        Literal["table", "json"], typer.Option(help="table, or the gate file's JSON.")
    ] = "table",
    bundle: BundleOption = None,
    engine: EngineOption = "auto",
    device: DeviceOption = None,
    precision: PrecisionOption = "auto",
    views: ViewsOption = "exact",
    preset: PresetOption = "native",
    recursive: RecursiveOption = False,
    exif_orientation: ExifOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Choose the threshold of a quality gate, with its errors.

    It comes from pictures that should pass and pictures that should not.

    Exit status: 0 done, 1 some pictures failed and were left out, 2 wrong usage.

    \b
    Examples:
      maclip gate --accept good/ --reject bad/ --output gate.json
      maclip score incoming/ --gate gate.json
    """
    from maclip_runtime.gate.making import make_gate  # SciPy, which only this command needs

    if plot is not None:
        check_suffix(plot.suffix)
    if (labels is None) == (accept is None or reject is None):
        raise UsageError("give --accept and --reject, or --labels")
    if labels is not None:
        pictures: list[Labelled | PictureError] = list(read_labels(labels, opinion_cut=opinion_cut))
    else:
        pictures = [
            each if isinstance(each, PictureError) else Labelled(each, accepted)
            for group, accepted in ((accept, True), (reject, False))
            for each in find_pictures(group or [], recursive=recursive)
        ]
    for path in filter(None, (output, plot)):
        check_output(path, [each.path for each in pictures if isinstance(each, Labelled)])
    scorer = open_scorer(
        bundle,
        engine=engine,
        device=device,
        precision=precision,
        views=views,
        preset=preset,
        threads=threads,
        exif_orientation=exif_orientation,
    )
    check_quantity(scorer, on)
    good, bad, opinions, failures = _score_groups(scorer, pictures)
    made = make_gate(
        good, bad, find_settings(scorer), quantity=on, rate=false_reject, opinions=opinions
    )
    if output is not None:
        write_gate(output, made)
    if plot is not None:
        from maclip_runtime.report.gate_plot import plot_gate

        data = encode_picture(plot_gate(made, good[on], bad[on]), plot.suffix)
        write_whole(plot, data)
    if format == "json":
        typer.echo(json.dumps(asdict(made), indent=1, allow_nan=False))
    else:
        _show(made)
    for warning in made.warnings:
        tell(f"careful: {warning}")
    if failures:
        raise typer.Exit(1)


def _score_groups(
    scorer: Scorer, pictures: Sequence[Labelled | PictureError]
) -> tuple[Values, Values, list[float] | None, int]:
    """Values by quantity of accepted and of rejected pictures, opinions in that order, and failures."""
    good: Values = {}
    bad: Values = {}
    opinions: dict[bool, list[float]] = {True: [], False: []}
    failures = 0
    given = [each if isinstance(each, PictureError) else each.path for each in pictures]
    with show_progress("scoring", len(given)) as advance:
        for label, result in zip(pictures, scorer.score_many(given), strict=True):
            if isinstance(result, PictureError) or isinstance(label, PictureError):
                assert isinstance(result, PictureError)
                failures += 1
                tell(result)
                continue
            for name, value in result.quantities.items():
                (good if label.accept else bad).setdefault(name, []).append(value)
            if label.opinion is not None:
                opinions[label.accept].append(label.opinion)
            advance(result.path)
    if not good or not bad:
        raise UsageError(
            "a gate needs pictures to accept and pictures to reject, at least one of each"
        )
    both = opinions[True] + opinions[False]
    return good, bad, both or None, failures


def _show(made: Gate) -> None:
    console = Console(markup=False, highlight=False, soft_wrap=True)
    opinions = any(figures.srcc is not None for figures in made.figures.values())
    table = Table()
    table.add_column("quantity")
    headings = ("AUC", "95 %", "threshold", "95 %", "new ones rejected", "caught", "95 %")
    for heading in (*headings, *(("SRCC", "PLCC") if opinions else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    ranked = sorted(made.figures.items(), key=lambda item: -item[1].auc)
    for name, figures in ranked:
        row = [
            name,
            f"{figures.auc:.3f}",
            "{:.3f}..{:.3f}".format(*figures.auc_interval),
            f"{figures.threshold:.4f}",
            "..".join("?" if end is None else f"{end:.4f}" for end in figures.threshold_interval),
            "{:.1%}..{:.1%}".format(*figures.false_reject_interval),
            f"{figures.caught:.0%}",
            "{:.0%}..{:.0%}".format(*figures.caught_interval),
        ]
        if opinions:
            row += ["" if r is None else f"{r:.3f}" for r in (figures.srcc, figures.plcc)]
        table.add_row(*row)
    width = None if console.is_terminal else 1000
    Console(markup=False, highlight=False, width=width).print(table)
    console.print(
        f"gate: {made.quantity} at least {made.threshold:.4f}, for a false-reject rate of "
        f"{made.wanted_false_reject:.2%}; {made.accepted} accepted and {made.rejected} rejected pictures, "
        f"{made.needed} accepted ones would tell the rate within a factor of two"
    )
