"""`maclip score`: pictures in, a table, JSON, JSON lines or CSV out."""

from __future__ import annotations

import glob
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from maclip_runtime.bundle import DEMO_NAME
from maclip_runtime.cli.options import (
    EngineName,
    EngineOption,
    PrecisionName,
    PrecisionOption,
    PresetName,
    PresetOption,
    ThreadsOption,
    ViewModeName,
    ViewsOption,
)
from maclip_runtime.cli.output import Format, open_output, write_records
from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.images import list_pictures
from maclip_runtime.scorer import Score, Scorer


def score(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Pictures, directories, or quoted globs."),
    ],
    bundle: Annotated[
        str | None,
        typer.Option(
            envvar="MACLIP_BUNDLE",
            help="The bundle directory, or `demo` for the small encoder in the package, which is the "
            "default.",
            metavar="DIR|demo",
        ),
    ] = None,
    engine: EngineOption = EngineName.auto,
    precision: PrecisionOption = PrecisionName.auto,
    views: ViewsOption = ViewModeName.exact,
    preset: PresetOption = PresetName.native,
    format: Annotated[Format, typer.Option(help="Format of the results.")] = Format.table,
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
    if bundle is None:
        _tell(
            "no --bundle: scoring with the demo encoder, which is not CLIP; for CLIP's weights run "
            "maclip export --model RN50 --pretrained openai --output rn50.maclip"
        )
        bundle = DEMO_NAME
    scorer = Scorer(
        bundle,
        engine=engine.value,
        preset=preset.value,
        precision=None if precision is PrecisionName.auto else precision.value,
        views=views.value,
        threads=threads,
        exif_orientation=exif_orientation,
    )
    found = list(expand_paths(paths, recursive=recursive))
    failures = 0

    def tally(results: Iterable[Score | PictureError]) -> Iterator[Score | PictureError]:
        nonlocal failures
        for result in results:
            if isinstance(result, PictureError):
                failures += 1
                _tell(str(result))
            elif result.enlarged:
                note = "smaller than a view, so it was enlarged: outside the published method"
                _tell(f"{result.path}: {result.width} x {result.height} is {note}")
            yield result

    with open_output(output) as stream:
        results = tally(score_found(scorer, found))
        write_records(track(results, total=len(found)), format, stream)
    if failures:
        raise typer.Exit(1)


def _tell(message: str) -> None:
    print(f"maclip: {message}", file=sys.stderr, flush=True)  # noqa: T201


def expand_paths(paths: Iterable[str], *, recursive: bool) -> Iterator[str | PictureError]:
    """The pictures that paths, directories and globs name; a PictureError for one that names none."""
    for path in paths:
        if Path(path).is_dir():
            pictures = [str(picture) for picture in list_pictures(Path(path), recursive=recursive)]
            hint = "" if recursive else "; --recursive looks deeper"
            yield from pictures
            if not pictures:
                yield PictureError(path, f"no pictures in this directory{hint}")
        elif glob.has_magic(path) and not Path(path).exists():
            matches = sorted(glob.glob(path, recursive=recursive))  # noqa: PTH207  absolute patterns too
            yield from matches
            if not matches:
                yield PictureError(path, "no file matches")
        else:
            yield path


def score_found(
    scorer: Scorer, found: Iterable[str | PictureError]
) -> Iterator[Score | PictureError]:
    """Score what was found, keeping the places of what was not."""
    missing: list[tuple[int, PictureError]] = []
    pictures: list[str] = []
    for place, item in enumerate(found):
        if isinstance(item, PictureError):
            missing.append((place, item))
        else:
            pictures.append(item)
    place = 0
    for result in scorer.score_many(pictures):
        while missing and missing[0][0] == place:
            yield missing.pop(0)[1]
            place += 1
        yield result
        place += 1
    yield from (error for _, error in missing)


def track(results: Iterable[Score | PictureError], total: int) -> Iterator[Score | PictureError]:
    """Pass results on, with a progress bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal or total < 2:
        yield from results
        return
    columns = (
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[current]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("scoring", total=total, current="")
        for result in results:
            path = result.picture if isinstance(result, PictureError) else result.path
            progress.update(task, advance=1, current=Path(path).name)
            yield result
