"""Command-line options that the benchmarks share, and the pictures they have by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maclip_runtime.vocabulary import EngineChoice

SAMPLES = Path(__file__).parents[1] / "samples"

BundleOption = Annotated[str, typer.Option("--bundle", help="A bundle, or demo.", metavar="DIR")]
EngineOption = Annotated[EngineChoice, typer.Option("--engine", help="The inference engine.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", help="CPU threads of the engine; else all cores.", min=1)
]
