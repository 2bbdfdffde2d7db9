"""The words that settings, results and manifests are made of, each defined once."""

from __future__ import annotations

from typing import Literal, get_args

Precision = Literal["fp32", "fp16", "int8"]
"""Of a graph: what its weights and activations are stored and computed in."""

ViewMode = Literal["exact", "dense"]
"""exact: every view encoded by itself, as published; dense: neighbouring windows encoded together."""

Preset = Literal["native", "448", "224"]
"""Size of the frame that is scored: the picture's own, or a square of that side."""

PlanLibrary = Literal["tensorrt", "tensorrt-rtx"]
"""The libraries that build plans and run them."""

EngineName = Literal[
    "tensorrt",
    "tensorrt-rtx",
    "onnxruntime-tensorrt",
    "onnxruntime-tensorrt-rtx",
    "onnxruntime-cuda",
    "onnxruntime-cpu",
]
"""What runs an encoder, the fastest first: the order in which "auto" tries them."""

EngineChoice = Literal["auto", EngineName]
"""An engine by name, or the first that opens."""

PixelFormat = Literal["rgb24", "bgr24", "nv12", "yuyv422", "gray8"]
"""Of raw frames, by FFmpeg's names."""

GraphPixelFormat = Literal["rgb24", "bgr24", "rgba", "nv12"]
"""Of the frames that a graph takes, by FFmpeg's names; nv12 is uint8 [H * 3 / 2, W]."""

ColourMatrix = Literal["bt601", "bt709", "bt2020"]
"""How video makes luma and chroma of red, green and blue."""

ColourRange = Literal["limited", "full"]
"""Of video's values: 16 to 235 (chroma to 240), or 0 to 255."""

ViewsPerFrame = int | Literal["all", "auto"]
"""Views of each frame that a stream encodes: a number, all, or as many as keep up."""

EventName = Literal["alert", "recovered", "scene", "lost", "reconnected"]
"""What begins or ends in a stream."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
VIEW_MODES: tuple[ViewMode, ...] = get_args(ViewMode)
PRESETS: tuple[Preset, ...] = get_args(Preset)
PLAN_LIBRARIES: tuple[PlanLibrary, ...] = get_args(PlanLibrary)
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
ENGINE_CHOICES: tuple[EngineChoice, ...] = get_args(EngineChoice)
EVENTS: tuple[EventName, ...] = get_args(EventName)
PIXEL_FORMATS: tuple[PixelFormat, ...] = get_args(PixelFormat)
GRAPH_PIXEL_FORMATS: tuple[GraphPixelFormat, ...] = get_args(GraphPixelFormat)
COLOUR_MATRICES: tuple[ColourMatrix, ...] = get_args(ColourMatrix)
COLOUR_RANGES: tuple[ColourRange, ...] = get_args(ColourRange)
