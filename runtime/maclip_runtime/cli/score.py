"""`maclip score`: pictures in, a table, JSON, JSON lines or CSV out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO, cast

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
from maclip_runtime.cli.scoring import check_folder, open_scorer
from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.files import open_whole
from maclip_runtime.results.formats import Format, write_results
from maclip_runtime.results.score import Score
from maclip_runtime.sources.paths import find_pictures


def score(
    paths: PathsArgument,
    bundle: BundleOption = None,
    engine: EngineOption = "auto",
    device: DeviceOption = None,
    precision: PrecisionOption = "auto",
    views: ViewsOption = "exact",
    preset: PresetOption = "native",
    format: Annotated[Format, typer.Option(help="Format of the results.")] = "table",
    output: Annotated[
        Path | None,
        typer.Option(help="Write the results to this file, not to stdout.", metavar="FILE"),
    ] = None,
    min_score: MinScoreOption = None,
    gate: GateOption = None,
    recursive: RecursiveOption = False,
    exif_orientation: ExifOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Score pictures; higher is better.

    One picture that cannot be read is one line on stderr; the others are still scored. Exit status:
    0 all scored, 1 some failed, 2 wrong usage or an unusable bundle, 3 all scored, but some below
    --min-score or not through --gate.
    """
    if output is not None:
        check_folder(output)
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
    required = open_requirement(scorer, min_score, gate)
    found = list(find_pictures(paths, recursive=recursive))
    failures = below = 0

    def tally(
        results: Iterable[Score | PictureError], advance: Callable[[str], None]
    ) -> Iterator[Score | PictureError]:
        nonlocal failures, below
        for result in results:
            if isinstance(result, PictureError):
                failures += 1
                tell(result)
            elif result.enlarged:
                note = "smaller than a view, so it was enlarged: outside the published method"
                tell(f"{result.path}: {result.width} x {result.height} is {note}")
            if required and isinstance(result, Score) and not required.is_met(result):
                below += 1
                tell(required.describe_miss(result))
            path = result.picture if isinstance(result, PictureError) else result.path
            advance(Path(path).name)
            yield result

    with _open_output(output) as stream, show_progress("scoring", len(found)) as advance:
        names = [pair.name for pair in scorer.bundle.manifest.prompts]
        write_results(tally(scorer.score_many(found), advance), format, stream, names)
    if failures:
        raise typer.Exit(1)
    if below:
        raise typer.Exit(3)


@contextmanager
def _open_output(path: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file that appears whole when the block ends without an error."""
    if path is None:
        yield sys.stdout
        return
    try:
        with open_whole(path, "w") as stream:
            yield cast(TextIO, stream)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
