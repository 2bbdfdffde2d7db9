"""The words an export is asked for with, each defined once. Imports nothing heavy.

Precisions and view modes are the runtime's words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Activation = Literal["auto", "quick-gelu", "gelu"]

GraphRole = Literal[
    "image_encoder", "text_encoder", "frame_graph", "dense_frame_graph", "score_graph"
]

FrameSize = tuple[int, int]  # (height, width), in pixels; None in its place stands for any size

Report = Callable[[str], None]  # is told the name of each step as it begins
