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
    check_quantity,
    describe_settings,
    open_scorer,
)
from maclip_runtime.errors import PictureError
from maclip_runtime.files import check_output
from maclip_runtime.method.pixels import Frame
from maclip_runtime.report.page import open_templates
from maclip_runtime.report.pictures import PictureReport
from maclip_runtime.results.record import to_record
from maclip_runtime.results.score import Score
from maclip_runtime.signals import Interrupted
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
    """Score pictures into one self-contained page.

    The worst come first, with maps and attributes.

    Exit status as of `maclip score`; 128 + n after signal n (130 after Ctrl-C), which leaves a report of
    what was scored until then.

    \b
    Example:
      maclip report photos/ --bundle rn50.maclip --output report.html
    """
    found = list(find_pictures(paths, recursive=recursive))
    check_output(output, [path for path in found if isinstance(path, str)])
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
    failures = below = done = 0
    notes = [DEMO_NOTE] if scorer.bundle.manifest.weights.demo else []
    quantity, threshold = (required.quantity, required.threshold) if required else ("score", None)
    with PictureReport(describe_settings(scorer), quantity=quantity, threshold=threshold) as page:
        try:
            with show_progress("scoring", len(found)) as advance:
                for result in scorer.score_many(found):
                    done += 1
                    shown = _read_again(result, exif_orientation=exif_orientation)
                    if isinstance(result, PictureError) or isinstance(shown, PictureError):
                        assert isinstance(shown, PictureError)
                        failures += 1
                        tell(shown)
                        page.add_failure(shown)
                        advance(shown.picture)
                        continue
                    page.add(to_record(result), shown, result.map(show))
                    below += required is not None and not required.is_met(result)
                    advance(result.path)
        except (KeyboardInterrupt, Interrupted) as error:
            notes.append(f"Interrupted: {done} of {len(found)} pictures are here.")
            tell(notes[-1])
            page.write(output, notes)
            raise typer.Exit(getattr(error, "status", 130)) from None
        page.write(output, notes)
    tell(f"{output}: {output.stat().st_size / 1e6:.1f} MB, {done - failures} pictures")
    if failures:
        raise typer.Exit(1)
    if below:
        raise typer.Exit(3)


def _read_again(result: Score | PictureError, *, exif_orientation: bool) -> Frame | PictureError:
    """The picture of a result: scores come without it, and reading it is a small part of scoring it.

    A PictureError also where it is gone meanwhile, or is not what it was.
    """
    if isinstance(result, PictureError):
        return result
    try:
        frame = read_frame(result.path, exif_orientation=exif_orientation)
    except PictureError as error:
        return error
    if frame.shape[:2] != (result.height, result.width):
        return PictureError(result.path, "changed while it was scored", "score it again")
    return frame
