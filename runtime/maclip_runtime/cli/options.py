"""Options that several commands take, as Typer wants them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class EngineName(str, Enum):
    """The choices of --engine."""

    auto = "auto"
    tensorrt = "tensorrt"
    tensorrt_rtx = "tensorrt-rtx"
    onnxruntime_cpu = "onnxruntime-cpu"
    onnxruntime_cuda = "onnxruntime-cuda"
    onnxruntime_tensorrt = "onnxruntime-tensorrt"
    onnxruntime_tensorrt_rtx = "onnxruntime-tensorrt-rtx"


class PrecisionName(str, Enum):
    """The choices of --precision."""

    auto = "auto"
    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


class ViewModeName(str, Enum):
    """The choices of --views."""

    exact = "exact"
    dense = "dense"


class PresetName(str, Enum):
    """The choices of --preset."""

    native = "native"
    side_448 = "448"
    side_224 = "224"


EngineOption = Annotated[EngineName, typer.Option(help="What runs the encoder.")]
PrecisionOption = Annotated[
    PrecisionName, typer.Option(help="Of the graph; auto: the engine's own choice.")
]
ViewsOption = Annotated[
    ViewModeName,
    typer.Option(
        help="exact, as published; dense: neighbouring windows encoded together, faster and "
        "slightly different (ResNets only)."
    ),
]
PresetOption = Annotated[
    PresetName,
    typer.Option(help="native: the picture as it is; 448, 224: resized to such a square first."),
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, help="CPU threads of the engine; default: all cores.")
]
