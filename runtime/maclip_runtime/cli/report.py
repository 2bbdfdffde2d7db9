"""`maclip report`: pictures with maps, attributes and distributions, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maclip_runtime.cli.console import show_progress, tell
from maclip_runtime.cli.options import (
    BundleOption,
    DeviceOption,
    EngineOption,
    ExifOption,
    GateOption,
    MinScoreOption,
    PathsArgument,
    PrecisionOption,
    PresetOption,
    RecursiveOption,
    ThreadsOption,
    ViewsOption,
)
from maclip_runtime.cli.requirement import open_requirement
from maclip_runtime.cli.scoring import (
    DEMO_NOTE,
    check_folder,
    check_quantity,
    describe_settings,
    open_scorer,
)
from maclip_runtime.errors import PictureError
from maclip_runtime.report.page import open_templates
from maclip_runtime.report.pictures import PictureReport
from maclip_runtime.results.record import to_record
from maclip_runtime.sources.paths import find_pictures
from maclip_runtime.sources.pictures import read_frame


def report(
    paths: PathsArgument,
    output: Annotated[Path, typer.Option(help="The HTML file to write.", metavar="FILE")],
    show: Annotated[
        str,
        typer.Option(
            help="What the maps show: score, similarity, magnitude, or an attribute by its name.",
            metavar="QUANTITY",
        ),
    ] = "score",
    min_score: MinScoreOption = None,
    gate: GateOption = None,
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
    """Score pictures into one self-contained page: worst first, with maps and attributes.

    Exit status as of `maclip score`.
    """
    check_folder(output)
    open_templates()  # what is missing is said before anything is scored
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
    check_quantity(scorer, show)
    required = open_requirement(scorer, min_score, gate)
    found = list(find_pictures(paths, recursive=recursive))
    failures = below = 0
    note = DEMO_NOTE if scorer.bundle.manifest.weights.demo else None
    quantity, threshold = (required.quantity, required.threshold) if required else ("score", None)
    with PictureReport(
        describe_settings(scorer), quantity=quantity, threshold=threshold, note=note
    ) as page:
        with show_progress("scoring", len(found)) as advance:
            for result in scorer.score_many(found):
                if isinstance(result, PictureError):
                    failures += 1
                    tell(result)
                    page.add_failure(result)
                    advance(Path(result.picture).name)
                    continue
                quality_map = result.map(show)
                # Scores come without their frames; reading one again is a small part of scoring it.
                frame = read_frame(result.path, exif_orientation=exif_orientation)
                page.add(to_record(result), frame, quality_map)
                below += required is not None and not required.is_met(result)
                advance(Path(result.path).name)
        page.write(output)
    tell(f"{output}: {output.stat().st_size / 1e6:.1f} MB, {len(found) - failures} pictures")
    if failures:
        raise typer.Exit(1)
    if below:
        raise typer.Exit(3)
