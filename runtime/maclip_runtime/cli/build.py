"""`maclip build`: plans for TensorRT and TensorRT-RTX, from a bundle's graphs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from maclip_runtime.bundle.bundle import Bundle, open_bundle
from maclip_runtime.bundle.manifest import BundleFile, Shape
from maclip_runtime.cli.console import say
from maclip_runtime.cli.options import BundleArgument, parse_size
from maclip_runtime.errors import BundleError, Remedy, UsageError
from maclip_runtime.plans import PlanOptions, build_plan, make_profile
from maclip_runtime.plans import Progress as Report
from maclip_runtime.vocabulary import PlanLibrary


def build(
    bundle: BundleArgument,
    engine: Annotated[PlanLibrary, typer.Option(help="The library to build with.")],
    graph: Annotated[
        str | None,
        typer.Option(
            help="The graph, by its file name in the bundle; default: the frame graph, "
            "in half precision if there is one.",
            metavar="FILE",
        ),
    ] = None,
    frames: Annotated[
        str,
        typer.Option(
            help="Smallest, best and largest frame, height x width.", metavar="HxW,HxW,HxW"
        ),
    ] = "224x224,1080x1920,2160x3840",
    views: Annotated[
        str,
        typer.Option(
            help="Best and largest number of views a run, which bounds the memory; a dense graph runs "
            "by blocks, whatever it says.",
            metavar="N,N",
        ),
    ] = "32,64",
    workspace: Annotated[
        int | None,
        typer.Option(min=1, help="Scratch memory for the engine, at most.", metavar="MB"),
    ] = None,
    compute_capability: Annotated[
        list[str] | None,
        typer.Option(
            help="tensorrt-rtx: GPU to build for, such as 86 for 8.6; may be repeated. "
            "Default: portable, 8.0 and later.",
            metavar="CC",
        ),
    ] = None,
    version_compatible: Annotated[
        bool,
        typer.Option("--version-compatible", help="tensorrt: a plan for later versions too."),
    ] = False,
    timing_cache: Annotated[
        Path | None,
        typer.Option(help="tensorrt: keep timings here, for faster builds.", metavar="FILE"),
    ] = None,
    device: Annotated[
        int, typer.Option(min=0, help="tensorrt: number of the GPU to build on.", metavar="N")
    ] = 0,
) -> None:
    """Build a plan for TensorRT or TensorRT-RTX, into the bundle.

    It is built from one of the bundle's graphs. tensorrt builds on the GPU that will run the plan;
    tensorrt-rtx needs no GPU to build.

    \b
    Examples:
      maclip build rn50.maclip --engine tensorrt-rtx --compute-capability 86
      maclip build rn50.maclip --engine tensorrt --timing-cache rn50.timing
    """
    opened = open_bundle(bundle)
    chosen = _choose_graph(opened, graph)
    options = PlanOptions(
        profile=make_profile(
            chosen, _parse_frames(frames), _parse_views(views), opened.manifest.method.views.size
        ),
        workspace=None if workspace is None else workspace * 1_000_000,
        compute_capabilities=tuple(text.replace(".", "") for text in compute_capability or ()),
        version_compatible=version_compatible,
        timing_cache=timing_cache,
        device=device,
    )
    with _show_progress(f"building {chosen.path}") as progress:
        plan = build_plan(opened, chosen, engine, options, progress)
    assert plan.plan is not None
    targets = ", ".join(plan.plan.compute_capabilities) or "8.0 and later"
    say(
        f"{opened.path / plan.path}: {plan.size / 1e6:.1f} MB, "
        f"{engine} {plan.plan.version}, compute capability {targets}"
    )


def _choose_graph(bundle: Bundle, name: str | None) -> BundleFile:
    if name is not None:
        graphs = [file for file in bundle.manifest.files if file.is_graph]
        for file in graphs:
            if file.path == name:
                return file
        names = ", ".join(file.path for file in graphs)
        raise UsageError(f"{bundle.path}: no graph {name}", f"it has: {names}")
    frame_graphs = bundle.list_graphs("frame_graph")
    if not frame_graphs:
        raise BundleError(
            f"{bundle.path}: has no frame graph",
            Remedy(
                "export the bundle with {frame} (or a size), or choose another graph with {graph}",
                settings={"frame": "any", "graph": None},
            ),
        )
    return next((file for file in frame_graphs if file.precision == "fp16"), frame_graphs[0])


def _parse_frames(text: str) -> tuple[Shape, Shape, Shape]:
    parts = text.split(",")
    if len(parts) != 3:
        raise UsageError(
            f"--frames {text}: not three sizes",
            "give smallest, best and largest, such as 224x224,1080x1920,2160x3840",
        )
    smallest, best, largest = (parse_size(part, "--frames") for part in parts)
    return smallest, best, largest


def _parse_views(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", text)
    if not match:
        raise UsageError(f"--views {text}: not two numbers", "give best and largest, such as 32,64")
    return int(match[1]), int(match[2])


@contextmanager
def _show_progress(title: str) -> Iterator[Report]:
    """The builder's own progress, on stderr where that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    if not console.is_terminal:
        yield lambda phase, done, steps: None
        return
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def report(phase: str, done: int, steps: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(f"{title}: {phase}", total=steps)
            bars.update(tasks[phase], completed=done, visible=done < steps)

        yield report
