"""Options of the commands that serve with Triton, and what they become."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from maclip_runtime.serving.settings import ServedPrecision

NameOption = Annotated[
    str, typer.Option("--name", help="What the models' names begin with.", metavar="NAME")
]
ServedPrecisionOption = Annotated[
    Literal["auto", ServedPrecision],
    typer.Option("--precision", help="Of the graphs; auto: fp16 with --device gpu, else fp32."),
]
InstancesOption = Annotated[
    int,
    typer.Option(
        "--instances",
        min=1,
        max=256,
        help="Processes that decode pictures: so many are under way at once.",
        metavar="N",
    ),
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        max=4096,
        help="Views that the encoder runs at once, at most; default: 8 on CPUs, else 32.",
        metavar="N",
    ),
]
DelayOption = Annotated[
    int,
    typer.Option(
        "--delay",
        min=0,
        max=10_000_000,
        help="How long the encoder waits for views of other requests, in microseconds.",
        metavar="US",
    ),
]
QueueOption = Annotated[
    int,
    typer.Option(
        "--queue",
        min=1,
        max=1_000_000,
        help="Requests that wait at most; further ones are refused at once.",
        metavar="N",
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=0.001,
        max=86400,
        help="Refuse a request that has waited for so long.",
        metavar="SECONDS",
    ),
]
LargestPictureOption = Annotated[
    float,
    typer.Option(
        "--largest-picture",
        min=0.001,
        max=512,
        help="Refuse encoded pictures that are larger.",
        metavar="MB",
    ),
]


def parse_served_precision(choice: Literal["auto", ServedPrecision]) -> ServedPrecision | None:
    """What the library takes for --precision."""
    return None if choice == "auto" else choice
