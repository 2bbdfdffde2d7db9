"""Options that several commands take, as Typer wants them, and how their values are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from maclip_runtime.errors import UsageError
from maclip_runtime.vocabulary import EngineChoice, Precision, Preset, ViewMode

PathsArgument = Annotated[
    list[str],
    typer.Argument(metavar="PATH...", help="Pictures, directories, or quoted globs."),
]
BundleOption = Annotated[
    str | None,
    typer.Option(
        "--bundle",
        envvar="MACLIP_BUNDLE",
        help="The bundle directory, or `demo` for the small encoder in the package, which is the "
        "default.",
        metavar="DIR|demo",
    ),
]
RecursiveOption = Annotated[
    bool, typer.Option("--recursive", "-r", help="Also look into directories' directories.")
]
ExifOption = Annotated[
    bool, typer.Option("--exif-orientation", help="Turn pictures as their EXIF tag says.")
]
MinScoreOption = Annotated[
    float | None,
    typer.Option("--min-score", help="Exit status 3 if a score is below this.", metavar="SCORE"),
]
GateOption = Annotated[
    Path | None,
    typer.Option(
        "--gate",
        help="Exit status 3 if a picture does not pass this gate, a file of `maclip gate`.",
        metavar="FILE",
    ),
]
BundleArgument = Annotated[
    str, typer.Argument(metavar="BUNDLE", help="The bundle directory, or `demo`.")
]
EngineOption = Annotated[
    EngineChoice,
    typer.Option(
        "--engine",
        help="What runs the encoder, by its name in `maclip doctor`; auto: the first that can.",
        metavar="ENGINE",
    ),
]
PrecisionOption = Annotated[
    Literal["auto", Precision],
    typer.Option("--precision", help="Of the graph; auto: the engine's own choice."),
]
ViewsOption = Annotated[
    ViewMode,
    typer.Option(
        "--views",
        help="exact, as published; dense: neighbouring windows encoded together, faster and "
        "slightly different (ResNets only).",
    ),
]
PresetOption = Annotated[
    Preset,
    typer.Option(
        "--preset", help="native: the picture as it is; 448, 224: resized to such a square first."
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=1024,
        help="CPU threads of the engine; default: all cores.",
        metavar="N",
    ),
]
DeviceOption = Annotated[
    int | None,
    typer.Option("--device", min=0, help="Number of the GPU; default: the first.", metavar="N"),
]


def parse_precision(choice: Literal["auto", Precision]) -> Precision | None:
    """What the library takes for --precision."""
    return None if choice == "auto" else choice


def parse_size(text: str, option: str, *, least: int = 1) -> tuple[int, int]:
    """`1080x1920` to (1080, 1920), height and width, each at least `least`; UsageError otherwise."""
    match = re.fullmatch(r"\s*(\d{1,5})x(\d{1,5})\s*", text)
    if match is None:
        raise UsageError(
            f"{option} {text}: not a size", "give height x width in pixels, such as 1080x1920"
        )
    height, width = int(match[1]), int(match[2])
    if min(height, width) < least:
        raise UsageError(f"{option} {text}: a side has at least {least} pixels")
    return height, width


def show_option(name: str, value: object) -> str:
    """A library's setting as the command line spells it: `--engine onnxruntime-cpu`."""
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return option
    return f"{option} {'...' if value is None else value}"
