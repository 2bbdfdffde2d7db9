"""`maclip watch`: video and cameras in, a line a frame out, alerts and metrics."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from maclip_runtime.cli.console import tell
from maclip_runtime.cli.options import (
    BundleOption,
    DeviceOption,
    EngineOption,
    GateOption,
    PrecisionOption,
    ThreadsOption,
    parse_size,
)
from maclip_runtime.cli.requirement import open_requirement
from maclip_runtime.cli.scoring import open_scorer
from maclip_runtime.cli.watch_loop import open_lines, open_report, run_watcher
from maclip_runtime.errors import UsageError
from maclip_runtime.files import check_output
from maclip_runtime.results.metrics import Metrics
from maclip_runtime.results.watch_lines import LineFormat, write_lines
from maclip_runtime.sources.raw import RawFormat
from maclip_runtime.stream.events import AlertRules
from maclip_runtime.stream.status import Observation
from maclip_runtime.stream.watcher import Watcher
from maclip_runtime.vocabulary import ColourMatrix, ColourRange, PixelFormat, ViewsPerFrame


def watch(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="A video file, rtsp://..., /dev/video0, gst:PIPELINE (before its sink), a folder of "
            "pictures as a sequence, or - for raw frames on stdin.",
        ),
    ],
    bundle: BundleOption = None,
    engine: EngineOption = "auto",
    device: DeviceOption = None,
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    views_per_frame: Annotated[
        str | None,
        typer.Option(
            metavar="N|all|auto",
            help="Views of each frame to encode; all: the published method on every frame; auto: as "
            "many as keep up. Default: auto for cameras, 8 for others.",
        ),
    ] = None,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Score each Nth frame.")] = 1,
    fps: Annotated[
        float | None, typer.Option(metavar="F", help="Score so many frames a second, at most.")
    ] = None,
    live: Annotated[
        bool | None,
        typer.Option(
            "--live/--no-live",
            help="Keep only the newest frame while the engine is busy, or keep all. Default: live for "
            "cameras.",
            show_default=False,
        ),
    ] = None,
    frame_rate: Annotated[
        float | None,
        typer.Option(
            metavar="F", help="Of folders (25 by default) and raw frames, which do not name one."
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Raw frames: size of a frame.")
    ] = None,
    pixel_format: Annotated[PixelFormat, typer.Option(help="Raw frames: their pixels.")] = "rgb24",
    stride: Annotated[
        int | None,
        typer.Option(metavar="BYTES", help="Raw frames: from row to row; default: no padding."),
    ] = None,
    matrix: Annotated[
        ColourMatrix | None,
        typer.Option(help="Raw frames: of nv12 and yuyv422; default: by size."),
    ] = None,
    range_: Annotated[
        ColourRange | None,
        typer.Option(
            "--range",
            help="Raw frames: of values; default: limited for nv12 and yuyv422, full for gray8.",
        ),
    ] = None,
    format: Annotated[
        Literal["jsonl", "csv", "table"] | None,
        typer.Option(help="Default: a live table on a terminal, else JSON lines."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the lines to this file; a terminal still shows the table.",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve Prometheus metrics at this address."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Write a page at the end: the score over time, events, and the worst frames.",
        ),
    ] = None,
    gate: GateOption = None,
    alert_below: Annotated[
        float | None,
        typer.Option(metavar="S", help="Alert when the score is below S."),
    ] = None,
    alert_after: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Of --alert-below: for so long, and recover after as long at S + 0.02. Default: 2.",
        ),
    ] = None,
    alert_drop: Annotated[
        float | None,
        typer.Option(
            metavar="D",
            help="Alert when the score drops by D against its mean of a minute, for a second.",
        ),
    ] = None,
    fail_on_alert: Annotated[
        bool,
        typer.Option("--fail-on-alert", help="Exit with 3 if there was an alert."),
    ] = False,
) -> None:
    """Score video and cameras as they come; higher is better.

    A line a frame, with `event` where one begins or ends. Ctrl-C ends it; what was written stays. Exit
    status: 0 all scored, or a camera's user ended it; 1 a source failed; 2 wrong usage or an unusable
    bundle; 3 there was an alert, with --fail-on-alert; 130 or 143 interrupted while reading files.

    \b
    Examples:
      maclip watch rtsp://camera/stream --bundle rn50.maclip --alert-below 0.5
      maclip watch clip.mp4 --format csv --output quality.csv
      ffmpeg -i clip.mkv -f rawvideo -pix_fmt nv12 - |
          maclip watch - --size 1080x1920 --pixel-format nv12
    """
    for path in filter(None, (output, report)):
        check_output(path, sources)
    address = None if metrics is None else _parse_address(metrics)
    open_watcher = partial(
        Watcher,
        sources=sources,
        views_per_frame=_parse_views(views_per_frame),
        live=live,
        every=every,
        rate=_parse_rate("--fps", fps),
        frame_rate=_parse_rate("--frame-rate", frame_rate),
        raw_format=_parse_raw_format(sources, size, pixel_format, stride, matrix, range_),
    )
    line_format, table = _choose_format(format, output)
    scorer = open_scorer(bundle, engine=engine, device=device, precision=precision, threads=threads)
    rules = _parse_rules(alert_below, alert_after, alert_drop, gate)
    required = open_requirement(scorer, alert_below, gate)
    if gate is not None and required is not None:
        rules = replace(rules, below=required.threshold, quantity=required.quantity)
    with scorer, open_watcher(scorer, alerts=rules) as watcher, ExitStack() as stack:
        attributes = [pair.name for pair in scorer.bundle.manifest.prompts]
        takers: list[Callable[[Observation], None]] = []
        if line_format is not None:
            takers.append(
                write_lines(line_format, stack.enter_context(open_lines(output)), attributes)
            )
        if address is not None:
            served = Metrics(watcher.statuses)
            host, port = stack.enter_context(served.serve(*address))
            tell(f"metrics at http://{host}:{port}/metrics")
            takers.append(served.note)
        page = None if report is None else open_report(scorer)
        if page is not None:
            takers.append(page.note)
        if table:
            from maclip_runtime.results.live_table import show_table

            caption = (
                f"bundle {scorer.bundle.name}, {scorer.engine.name}, {scorer.engine.precision}"
            )
            stack.enter_context(show_table(watcher.statuses, caption, sys.stdout))
        status = run_watcher(watcher, takers)
    for each in watcher.statuses:
        tell(each.summarise())
    if page is not None and report is not None:
        page.write(report)
    if not status and fail_on_alert and any(each.events["alert"] for each in watcher.statuses):
        status = 3
    raise typer.Exit(status)


def _choose_format(
    format: Literal["jsonl", "csv", "table"] | None, output: Path | None
) -> tuple[LineFormat | None, bool]:
    """The format of the lines, None for no lines, and whether there is a table."""
    terminal = sys.stdout.isatty()
    if format == "table":
        if output is not None:
            raise UsageError("--format table is for a terminal", "write jsonl or csv to --output")
        if terminal:
            return None, True
        tell("stdout is no terminal: JSON lines instead of a table")
        return "jsonl", False
    if output is not None:
        return format or "jsonl", terminal
    return (None, True) if terminal and format is None else (format or "jsonl", False)


def _parse_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--metrics {text}: no address", "give HOST:PORT, as in 127.0.0.1:9108")
    return host.strip("[]"), int(port)  # [::1]:9108


def _parse_views(text: str | None) -> ViewsPerFrame | None:
    if text is None or text == "all" or text == "auto":
        return cast(ViewsPerFrame | None, text)
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--views-per-frame {text}", "use a number above 0, all or auto")
    return int(text)


def _parse_rate(option: str, rate: float | None) -> float | None:
    if rate is not None and not 0 < rate < float("inf"):
        raise UsageError(f"{option} {rate:g}: give a number above 0")
    return rate


def _parse_rules(
    below: float | None, after: float | None, drop: float | None, gate: Path | None
) -> AlertRules:
    if after is None:
        return AlertRules(below=below, drop=drop)
    if below is None and gate is None:
        raise UsageError("--alert-after is of no use without --alert-below or --gate")
    return AlertRules(below=below, after=after, drop=drop)


def _parse_raw_format(
    sources: Sequence[str],
    size: str | None,
    pixel_format: PixelFormat,
    stride: int | None,
    matrix: ColourMatrix | None,
    value_range: ColourRange | None,
) -> RawFormat | None:
    if size is None:
        if "-" in sources:
            raise UsageError("raw frames on stdin have no header", "give --size, as in 720x1280")
        return None
    if "-" not in sources:
        raise UsageError("--size is of raw frames", "give - as a source, or leave it out")
    height, width = parse_size(size, "--size")
    return RawFormat(height, width, pixel_format, stride, matrix, value_range)
