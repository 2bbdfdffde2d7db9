"""`manifest.json`: what a bundle holds, what the method needs, and where the weights came from.

These dataclasses are the format: `parsing` reads it strictly by them, and `schema` publishes it as a JSON
schema made from them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.head import Head
from maclip_runtime.method.ranges import Range
from maclip_runtime.vocabulary import (
    ColourMatrix,
    ColourRange,
    GraphPixelFormat,
    PlanLibrary,
    Precision,
    ViewMode,
)

SCHEMA: Literal[2] = 2

Role = Literal[
    "image_encoder", "text_encoder", "prompts", "frame_graph", "dense_frame_graph", "score_graph"
]
"""What a file is for. A plan keeps the role of the graph that it was built from."""

Shape = tuple[int, ...]
Profile = dict[str, tuple[Shape, Shape, Shape]]
"""Smallest, best and largest shape of each dynamic input."""

_Count = Annotated[int, Range(0)]
_Unit = Annotated[float, Range(0)]


@dataclass(frozen=True)
class Weights:
    """Where the weights came from: model name, pretrained tag or file name, SHA-256 of the file."""

    name: str
    source: str
    sha256: str
    demo: bool = False


@dataclass(frozen=True)
class Architecture:
    """The two towers in words, D, and the activation of their transformer blocks."""

    image: str
    text: str
    features: Annotated[int, Range(2)]  # the magnitude cue needs a standard deviation
    activation: Literal["quick_gelu", "gelu"]


@dataclass(frozen=True)
class Method:
    """Everything the method needs beside the features: view geometry, logit scale, head constants."""

    views: ViewGeometry
    logit_scale: Annotated[float, Range(-20, 20)]
    head: Head


@dataclass(frozen=True)
class PromptPair:
    """A named pair of prompts; the probability of `good` is an attribute of that name.

    `scored`: it counts for the similarity cue; otherwise its attribute is reported and changes no score.
    """

    name: str
    good: str
    bad: str
    scored: bool = True


@dataclass(frozen=True)
class Tensor:
    """Type and shape of a graph's input or output; a string names a dynamic axis."""

    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Verification:
    """How well a file matched its reference when it was made.

    `difference` is the largest one of features, over their largest absolute value, and for score graphs
    the largest absolute one; above `tolerance` the file would not have been written. `cases` says on what
    it was measured.
    """

    reference: str
    difference: _Unit
    tolerance: _Unit
    cases: str


@dataclass(frozen=True)
class Agreement:
    """How the scores of a graph rank degraded pictures, against those of the float32 graph.

    `srcc` is Spearman's rank correlation, the differences are of scores, over `pictures` of them.
    """

    srcc: Annotated[float, Range(-1, 1)]
    mean_difference: float
    largest_difference: float
    pictures: _Count


@dataclass(frozen=True)
class PlanOrigin:
    """What a plan is tied to: it runs where all of this fits, and nowhere else.

    `compute_capabilities` ("86" is 8.6): those it was built for; none means portable, from 8.0 on.
    `profile`: smallest, best and largest shape of each dynamic input. `multiprocessors`, `memory` (bytes):
    of the GPU that full TensorRT built it on, `device`, whose name may be that of several models.
    """

    library: PlanLibrary
    version: str
    compute_capabilities: tuple[str, ...]
    device: str
    graph: str
    graph_sha256: str
    profile: Profile
    version_compatible: bool = False
    multiprocessors: _Count | None = None
    memory: _Count | None = None


@dataclass(frozen=True)
class VideoColour:
    """What luma and chroma of video mean: the matrix that they were made with, and their range."""

    matrix: ColourMatrix
    range: ColourRange


@dataclass(frozen=True)
class BundleFile:
    """One file of a bundle. `path` is relative to the bundle, with forward slashes.

    `view_mode`: of what takes pixels or frames. `chunked`: it has the input `views`, and so works a frame
    off in portions. `pixel_format`: of the frames that it takes; `colour`: of nv12's. `agreement`: of an
    INT8 graph. `float32_nodes`: in a half-precision graph, the nodes that stay float32, each with the
    reason. `multiply_adds`: of an image encoder, per view. `plan`: where a built plan came from, and None
    for everything else.
    """

    path: str
    role: Role
    size: _Count
    sha256: str
    precision: Precision | None = None
    view_mode: ViewMode | None = None
    chunked: bool = False
    pixel_format: GraphPixelFormat = "rgb24"
    colour: VideoColour | None = None
    inputs: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    verification: Verification | None = None
    agreement: Agreement | None = None
    float32_nodes: dict[str, str] = field(default_factory=dict)
    multiply_adds: _Count | None = None
    plan: PlanOrigin | None = None

    @property
    def is_graph(self) -> bool:
        """Whether it is an ONNX graph: neither a plan nor the prompts."""
        return self.role != "prompts" and self.plan is None

    @property
    def takes_any_size(self) -> bool:
        """Whether its frames or pictures may have any height and width."""
        shapes = [self.inputs[name].shape for name in ("frame", "pixels") if name in self.inputs]
        # "rows": of nv12, half as many again as the frame's height
        return bool(shapes) and all(
            {"height", "rows"} & {*shape} and "width" in shape for shape in shapes
        )


@dataclass(frozen=True)
class Manifest:
    """A bundle's `manifest.json`."""

    created_by: str
    weights: Weights
    architecture: Architecture
    method: Method
    prompts: tuple[PromptPair, ...]
    files: tuple[BundleFile, ...]
    schema: Literal[2] = SCHEMA

    @property
    def scored(self) -> tuple[bool, ...]:
        """Of each prompt pair, whether it counts for the similarity cue."""
        return tuple(pair.scored for pair in self.prompts)

    def to_json(self) -> str:
        """The text of `manifest.json`; `parse_manifest` reads it back.

        What says that a graph takes other frames than RGB is only there where one does: a reader of this
        schema that does not know of it refuses such a bundle, and reads every other.
        """
        data = asdict(self)
        for file in data["files"]:
            if file["pixel_format"] == "rgb24":
                del file["pixel_format"], file["colour"]
        return json.dumps(data, indent=1, allow_nan=False) + "\n"
