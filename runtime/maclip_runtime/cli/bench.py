"""`maclip bench`: how long a picture takes, stage by stage, and how near that is to what can be had."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from maclip_runtime.bench import Measurement, draw_frame, measure
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
from maclip_runtime.cli.score import expand_paths
from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.scorer import Scorer


def bench(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="The bundle directory, or `demo`.")
    ],
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PICTURE...]",
            help="Pictures, directories, or quoted globs; by default a drawn one, see --frame.",
        ),
    ] = None,
    engine: EngineOption = EngineName.auto,
    precision: PrecisionOption = PrecisionName.auto,
    views: ViewsOption = ViewModeName.exact,
    preset: PresetOption = PresetName.native,
    threads: ThreadsOption = None,
    repeats: Annotated[
        int, typer.Option(min=1, help="How often every picture is measured, and then streamed.")
    ] = 10,
    frame: Annotated[
        str, typer.Option(help="Size of the drawn picture, a JPEG.", metavar="HxW")
    ] = "800x1200",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure how long pictures take, by stage: decode, views, encode, head.

    p50, p90 and p99 are of pictures measured one at a time; the throughput is of a stream, in which the
    next pictures are decoded meanwhile. Where the encoder runs on the CPU, its arithmetic is held against
    ONNX Runtime's own matrix product on this machine.
    """
    with _find_pictures(pictures or [], frame) as found:
        scorer = Scorer(
            bundle,
            engine=engine.value,
            precision=None if precision is PrecisionName.auto else precision.value,
            views=views.value,
            preset=preset.value,
            threads=threads,
        )
        # A pass to warm up, the passes by stage, and the stream.
        with _show_progress(len(found) * (1 + 2 * repeats)) as report:
            measurement = measure(scorer, found, repeats=repeats, threads=threads, report=report)
    settings = {
        "bundle": scorer.bundle.name,
        "engine": scorer.engine.name,
        "precision": scorer.engine.precision,
        "view_mode": views.value,
        "preset": preset.value,
        "threads": threads,
        "pictures": pictures or [f"drawn, {frame}"],
        "repeats": repeats,
    }
    if as_json:
        typer.echo(json.dumps(to_record(measurement, settings), indent=1))
    else:
        _show(measurement, settings, len(found))


def to_record(measurement: Measurement, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings and figures as JSON has them; rates are multiply-adds per second."""
    record = {**settings, **asdict(measurement)}
    if measurement.rate is not None:
        record["rate"]["share"] = measurement.rate.share
    return record


def parse_size(text: str) -> tuple[int, int]:
    """`800x1200` to (800, 1200), height and width; UsageError for anything else."""
    match = re.fullmatch(r"\s*(\d{1,5})x(\d{1,5})\s*", text)
    if match is None or "0" in match.groups():
        raise UsageError(f"--frame {text}: give height x width in pixels, such as 800x1200")
    return int(match[1]), int(match[2])


@contextmanager
def _find_pictures(paths: Sequence[str], frame: str) -> Iterator[list[str]]:
    """The pictures that the paths name, or else a drawn one in a file that is gone afterwards."""
    if paths:
        found = []
        for item in expand_paths(paths, recursive=False):
            if isinstance(item, PictureError):
                raise item
            found.append(item)
        yield found
        return
    size = parse_size(frame)
    with tempfile.TemporaryDirectory(prefix="maclip-bench-") as folder:
        path = Path(folder) / f"{frame.strip()}.jpg"
        Image.fromarray(draw_frame(*size)).save(path, quality=90)
        yield [str(path)]


def _show(measurement: Measurement, settings: dict[str, Any], pictures: int) -> None:
    console = Console(markup=False, highlight=False, soft_wrap=True)
    threads = f"{settings['threads']} threads" if settings["threads"] else "a thread per core"
    console.print(
        f"{settings['bundle']}: {settings['engine']}, {settings['precision']}, "
        f"{settings['view_mode']} views, preset {settings['preset']}, {threads}"
    )
    samples = measurement.stages[0].samples
    table = Table(caption=_describe_samples(pictures, measurement.views, samples))
    table.caption_justify = "left"
    table.add_column("ms per picture")
    for heading in ("p50", "p90", "p99", "pictures/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in measurement.stages:
        figures = (stage.p50_ms, stage.p90_ms, stage.p99_ms, stage.pictures_per_second)
        table.add_row(stage.stage, *(f"{figure:.2f}" for figure in figures))
    console.print(table)
    stream = measurement.throughput
    console.print(
        f"stream: {stream.pictures:.2f} pictures/s, {stream.views:.1f} views/s, decoding meanwhile"
    )
    console.print(f"peak memory: {measurement.peak_memory_mb:.0f} MB")
    rate = measurement.rate
    if rate is not None:
        console.print(
            f"encoder: {rate.encoder / 1e9:.1f} billion multiply-adds/s, {rate.share:.2f} of ONNX "
            f"Runtime's float32 matrix product here ({rate.sgemm / 1e9:.1f})"
        )


def _describe_samples(pictures: int, views: int, samples: int) -> str:
    text = f"{pictures} picture{'s' * (pictures != 1)}, {views} views, {samples} samples"
    return text if samples >= 100 else f"{text}: too few for a p99, which is about the slowest"


@contextmanager
def _show_progress(total: int) -> Iterator[Callable[[], None]]:
    """What to call after every picture: a bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("measuring"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=total)
        yield lambda: progress.advance(task)
