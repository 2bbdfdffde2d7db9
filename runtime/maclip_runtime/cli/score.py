"""`maclip score`: pictures in, a table, JSON, JSON lines or CSV out."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO, cast

import typer
from PIL import Image

from maclip_runtime.cli.console import choose_bundle, show_progress, tell
from maclip_runtime.cli.options import (
    BundleOption,
    DeviceOption,
    EngineOption,
    PrecisionOption,
    PresetOption,
    ThreadsOption,
    ViewsOption,
    parse_precision,
)
from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.files import open_whole
from maclip_runtime.results.formats import Format, write_results
from maclip_runtime.results.score import Score
from maclip_runtime.scorer import Scorer
from maclip_runtime.sources.paths import find_pictures


def score(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Pictures, directories, or quoted globs."),
    ],
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
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Also look into directories' directories.")
    ] = False,
    exif_orientation: Annotated[
        bool,
        typer.Option("--exif-orientation", help="Turn pictures as their EXIF tag says."),
    ] = False,
    threads: ThreadsOption = None,
) -> None:
    """Score pictures; higher is better.

    One picture that cannot be read is one line on stderr; the others are still scored. Exit status:
    0 all scored, 1 some failed, 2 wrong usage or an unusable bundle.
    """
    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(f"{output.parent}: no such directory to write {output.name} to")
    # The library has its own limit on a picture's size, and says so in an error.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    scorer = Scorer(
        choose_bundle(bundle),
        engine=engine,
        device=device,
        preset=preset,
        precision=parse_precision(precision),
        views=views,
        threads=threads,
        exif_orientation=exif_orientation,
    )
    found = list(find_pictures(paths, recursive=recursive))
    failures = 0

    def tally(
        results: Iterable[Score | PictureError], advance: Callable[[str], None]
    ) -> Iterator[Score | PictureError]:
        nonlocal failures
        for result in results:
            if isinstance(result, PictureError):
                failures += 1
                tell(result)
            elif result.enlarged:
                note = "smaller than a view, so it was enlarged: outside the published method"
                tell(f"{result.path}: {result.width} x {result.height} is {note}")
            path = result.picture if isinstance(result, PictureError) else result.path
            advance(Path(path).name)
            yield result

    with _open_output(output) as stream, show_progress("scoring", len(found)) as advance:
        write_results(tally(scorer.score_many(found), advance), format, stream)
    if failures:
        raise typer.Exit(1)


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
