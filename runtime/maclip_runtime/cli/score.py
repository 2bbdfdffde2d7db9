"""`maclip score`: pictures in, a table, JSON, JSON lines or CSV out."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, TextIO, cast

import typer

from maclip_runtime.cli.console import check_stdout, show_progress, tell
from maclip_runtime.cli.options import (
    BundleOption,
    DeviceOption,
    EngineOption,
    ExifOption,
    GateOption,
    MinScoreOption,
    PrecisionOption,
    PresetOption,
    RecursiveOption,
    ThreadsOption,
    ViewsOption,
)
from maclip_runtime.cli.requirement import Requirement, open_requirement
from maclip_runtime.cli.scoring import open_scorer
from maclip_runtime.cli.standard_input import STDIN, StandardInput, take_stdin
from maclip_runtime.errors import OutputError, PictureError, UsageError
from maclip_runtime.files import check_output, find_target, is_written_through, open_whole
from maclip_runtime.gate.settings import find_settings
from maclip_runtime.results.formats import Format, write_results
from maclip_runtime.results.journal import open_journal
from maclip_runtime.results.record import Record, to_record
from maclip_runtime.results.score import Score
from maclip_runtime.scorer import Scorer
from maclip_runtime.signals import Held, Interrupted, hold_signals
from maclip_runtime.sources.paths import find_pictures
from maclip_runtime.sources.pictures import describe_picture

_Picture = str | StandardInput | PictureError


def score(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Pictures, directories, quoted globs, or - for one on stdin."
        ),
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
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on where a run that was to write --output was interrupted."
        ),
    ] = False,
    min_score: MinScoreOption = None,
    gate: GateOption = None,
    recursive: RecursiveOption = False,
    exif_orientation: ExifOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Score pictures; higher is better.

    One picture that cannot be read is one line on stderr; the others are still scored. Exit status:
    0 all scored, 1 some failed, 2 wrong usage or an unusable bundle, 3 all scored, but some below
    --min-score or not through --gate; 128 + n after signal n, as 130 after Ctrl-C. What was scored until
    then is on stdout, or beside --output for --resume.

    \b
    Examples:
      maclip score photo.jpg
      maclip score photos/ --bundle rn50.maclip --format csv --output scores.csv
    """
    found = list(find_pictures(paths, recursive=recursive))
    if output is not None:
        check_output(output, [each for each in found if isinstance(each, str)])
    else:
        check_stdout()
    if resume and (output is None or is_written_through(find_target(output))):
        raise UsageError("--resume needs --output with a file's name")
    if resume and STDIN in found:
        raise UsageError(f"--resume cannot know what was on stdin, so it takes no {STDIN}")
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
    tally = Tally(open_requirement(scorer, min_score, gate))
    attributes = [pair.name for pair in scorer.bundle.manifest.prompts]
    pictures = take_stdin(found)  # before signals are held: nobody may ever send a picture
    with hold_signals() as held:
        if output is not None and not is_written_through(find_target(output)):
            _score_to_file(scorer, pictures, tally, held, output, format, resume=resume)
        else:
            with _open_stream(output) as stream:
                write_results(_score(scorer, pictures, tally, held), format, stream, attributes)
    if tally.failures:
        raise typer.Exit(1)
    if tally.below:
        raise typer.Exit(3)


@dataclass
class Tally:
    """What is said of results as they come, and how many failed or are `below` what is required."""

    required: Requirement | None
    failures: int = 0
    below: int = 0

    def count(self, result: Score | PictureError) -> None:
        """Count a result, and say what there is to say of it."""
        if isinstance(result, PictureError):
            self.failures += 1
            tell(result)
            return
        if result.enlarged:
            note = "smaller than a view, so it was enlarged: outside the published method"
            tell(f"{result.path}: {result.width} x {result.height} is {note}")
        if self.required and not self.required.is_met(result):
            self.below += 1
            tell(self.required.describe_miss(result))

    def count_kept(self, record: Record) -> None:
        """Count a result of an earlier run, which said it."""
        if "error" in record:
            self.failures += 1
        elif self.required and not self.required.is_met_by(record):
            self.below += 1


def _score(
    scorer: Scorer, pictures: Sequence[_Picture], tally: Tally, held: Held
) -> Iterator[Score | PictureError]:
    """Results as they come, until all are there or a signal asks for the end."""
    with show_progress("scoring", len(pictures)) as advance:
        for result in scorer.score_many(pictures):
            tally.count(result)
            advance(result.picture if isinstance(result, PictureError) else result.path)
            yield result
            if held.number is not None:
                return


def _score_to_file(
    scorer: Scorer,
    pictures: Sequence[_Picture],
    tally: Tally,
    held: Held,
    output: Path,
    format: Format,
    *,
    resume: bool,
) -> None:
    """Score into a journal, and write the file from it when all are there."""
    manifest = scorer.bundle.manifest
    settings = {**asdict(find_settings(scorer)), "method": json.dumps(asdict(manifest.method))}
    attributes = [pair.name for pair in manifest.prompts]
    with open_journal(Path(find_target(output)), settings, resume=resume) as journal:
        try:
            for record in journal.records():
                tally.count_kept(record)
            for result in _score(scorer, _leave_out(journal.done, pictures), tally, held):
                journal.add(to_record(result))
            if held.number is not None:
                raise Interrupted(held.number)
            with open_whole(output, "w") as stream:
                write_results(journal.records(), format, cast(TextIO, stream), attributes)
        except BaseException:
            if journal.done:
                kept = sum(journal.done.values())
                tell(f"{kept} results are kept in {journal.path}; go on with --resume")
            raise


def _leave_out(done: Counter[str], pictures: Sequence[_Picture]) -> list[_Picture]:
    """What is given and not done, as often as it is given more often."""
    left = done.copy()
    rest = []
    for each in pictures:
        name = each.picture if isinstance(each, PictureError) else describe_picture(each)
        if left[name]:
            left[name] -= 1
        else:
            rest.append(each)
    return rest


@contextmanager
def _open_stream(path: Path | None) -> Iterator[TextIO]:
    """Stdout, or a device or pipe, for results as they come."""
    if path is None:
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"stdout: cannot be written ({error.strerror})") from None
        return
    with open_whole(path, "w") as stream:
        yield cast(TextIO, stream)
