"""`maclip bench`: how long a picture takes, stage by stage, and how near that is to what can be had."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from maclip_runtime.cli.console import show_progress
from maclip_runtime.cli.options import (
    BundleArgument,
    DeviceOption,
    EngineOption,
    PrecisionOption,
    PresetOption,
    ThreadsOption,
    ViewsOption,
    parse_precision,
    parse_size,
)
from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.scorer import Scorer
from maclip_runtime.sources.paths import find_pictures
from maclip_runtime.timing.drawing import draw_frame
from maclip_runtime.timing.stages import Measurement, measure

_MOST_PIXELS = 50_000_000  # to be drawn: the drawing takes a multiple of the picture's memory
_LONGEST_SIDE = 65_535  # of a JPEG


def bench(
    bundle: BundleArgument,
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PICTURE...]",
            help="Pictures, directories, or quoted globs; by default a drawn one, see --frame.",
        ),
    ] = None,
    engine: EngineOption = "auto",
    device: DeviceOption = None,
    precision: PrecisionOption = "auto",
    views: ViewsOption = "exact",
    preset: PresetOption = "native",
    threads: ThreadsOption = None,
    repeats: Annotated[
        int,
        typer.Option(
            min=1, help="How often every picture is measured, and then streamed.", metavar="N"
        ),
    ] = 10,
    frame: Annotated[
        str, typer.Option(help="Size of the drawn picture, a JPEG.", metavar="HxW")
    ] = "800x1200",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure how long pictures take, stage by stage.

    The stages are decode, views, encode and head. p50, p90 and p99 are of pictures measured one at a
    time; the throughput is of a stream, in which the next pictures are decoded meanwhile. Where
    the encoder runs on the CPU, its arithmetic is held against ONNX Runtime's own matrix product.

    \b
    Example:
      maclip bench rn50.maclip --precision int8 --views dense --threads 2
    """
    with _find_pictures(pictures or [], frame) as found:
        scorer = Scorer(
            bundle,
            engine=engine,
            device=device,
            precision=parse_precision(precision),
            views=views,
            preset=preset,
            threads=threads,
        )
        # A pass to warm up, the passes by stage, and the stream.
        with show_progress("measuring", len(found) * (1 + 2 * repeats)) as advance:
            measurement = measure(
                scorer, found, repeats=repeats, threads=threads, report=lambda: advance("")
            )
    settings = {
        "bundle": scorer.bundle.name,
        "engine": scorer.engine.name,
        "precision": scorer.engine.precision,
        "view_mode": scorer.engine.view_mode,
        "preset": preset,
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


@contextmanager
def _find_pictures(paths: Sequence[str], frame: str) -> Iterator[list[str]]:
    """The pictures that the paths name, or else a drawn one in a file that is gone afterwards."""
    if paths:
        found = []
        for item in find_pictures(paths, recursive=False):
            if isinstance(item, PictureError):
                raise item
            found.append(item)
        yield found
        return
    size = parse_size(frame, "--frame")
    if size[0] * size[1] > _MOST_PIXELS or max(size) > _LONGEST_SIDE:
        raise UsageError(
            f"--frame {frame}: larger than {_MOST_PIXELS // 1_000_000} megapixels, or than "
            f"{_LONGEST_SIDE} on a side",
            "measure with pictures of your own",
        )
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
