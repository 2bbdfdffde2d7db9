"""Which graphs of the image encoder an export writes: asked for, and listed row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from maclip_export.errors import CheckpointError
from maclip_export.vocabulary import FrameSize, GraphRole
from maclip_runtime.bundle.manifest import VideoColour
from maclip_runtime.errors import Remedy, UsageError
from maclip_runtime.pixel_formats import shape_frame
from maclip_runtime.sources.colour import assume_matrix
from maclip_runtime.vocabulary import (
    ColourMatrix,
    ColourRange,
    GraphPixelFormat,
    Precision,
    ViewMode,
)

if TYPE_CHECKING:
    from maclip_export.quality.calibration import CalibrationSet

LEAST_SRCC = 0.99  # rank correlation of INT8 scores with float32's

# What a graph is held against: the torch module (features of the same pixels), or the runtime with the
# float32 encoder graph (its features of a frame, its scores, or how its scores rank many pictures).
Reference = Literal["module", "features", "scores", "ranking"]


@dataclass(frozen=True)
class GraphSelection:
    """The graphs that are wanted: precisions, and sizes of the frames that are taken raw.

    pixel_formats: of frame graphs. matrix, value_range: of nv12; the matrix by default as `assume_matrix`
    has it for the size. frames, dense, scores: sizes (height, width) of frame graphs, of those in dense
    mode, which only ResNets have, and of score graphs; None takes any size. int8 needs `calibration`
    pictures, and fails where the rank correlation of its scores with float32's is below `least_srcc`.
    Raises UsageError for int8 without pictures, and for nv12 of odd sides or of any size without a matrix.
    """

    precisions: Sequence[Precision] = ("fp32",)
    frames: Sequence[FrameSize | None] = ()
    scores: Sequence[FrameSize | None] = ()
    dense: Sequence[FrameSize | None] = ()
    calibration: CalibrationSet | None = None
    least_srcc: float = LEAST_SRCC
    pixel_formats: Sequence[GraphPixelFormat] = ("rgb24",)
    matrix: ColourMatrix | None = None
    value_range: ColourRange = "limited"

    def __post_init__(self) -> None:
        if "int8" in self.precisions and self.calibration is None:
            raise UsageError("int8 needs calibration pictures, such as the encoder will see")
        if "nv12" in self.pixel_formats:
            for size in self.frames:
                self.describe_colour(size)

    def describe_colour(self, size: FrameSize | None) -> VideoColour:
        """What the values of nv12 frames of a size mean; UsageError if it does not tell."""
        if size is not None:
            shape_frame(*size, "nv12")
            return VideoColour(self.matrix or assume_matrix(size[1], size[0]), self.value_range)
        if self.matrix is None:
            raise UsageError(
                "nv12 frames of any size: the size does not tell which matrix they were made with",
                Remedy("name it with {matrix}, for high definition", settings={"matrix": "bt709"}),
            )
        return VideoColour(self.matrix, self.value_range)

    @property
    def takes_frames(self) -> bool:
        """Whether views are cut inside any graph."""
        return bool(self.frames or self.scores)


@dataclass(frozen=True)
class GraphRow:
    """One graph to write, and what it is held against.

    size: of the frames it takes; None takes any. chunked: it works a frame off in portions and has the
    input `views` for that. pixel_format: of these frames; colour: of nv12's.
    """

    role: GraphRole
    precision: Precision
    reference: Reference
    size: FrameSize | None = None
    view_mode: ViewMode | None = None
    chunked: bool = False
    pixel_format: GraphPixelFormat = "rgb24"
    colour: VideoColour | None = None

    @property
    def path(self) -> str:
        """The file's name in the bundle, such as `frame.any.fp16.onnx` or `frame.any.nv12.fp16.onnx`."""
        name = {"frame_graph": "frame", "dense_frame_graph": "dense", "score_graph": "score"}
        if self.role not in name:
            return f"{self.role}.{self.precision}.onnx"
        size = "any" if self.size is None else f"{self.size[0]}x{self.size[1]}"
        layout = "" if self.pixel_format == "rgb24" else f".{self.pixel_format}"
        return f"{name[self.role]}.{size}{layout}.{self.precision}.onnx"


def list_graphs(selection: GraphSelection, *, resnet: bool) -> list[GraphRow]:
    """The graphs of a selection in the order they are written.

    The float32 encoder is always the first, as the one that the others are held against. resnet:
    whether the encoder is one; raises CheckpointError if it is not and dense graphs are wanted.
    """
    if selection.dense and not resnet:
        raise CheckpointError("dense frame graphs need a ResNet, whose trunk is convolutional")
    rows = [GraphRow("image_encoder", "fp32", "module", view_mode="exact")]
    if "fp16" in selection.precisions:
        rows.append(GraphRow("image_encoder", "fp16", "module", view_mode="exact"))
    if "int8" in selection.precisions:
        # No difference of features says whether eight bits will do; the order of pictures does.
        rows.append(GraphRow("image_encoder", "int8", "ranking", view_mode="exact"))
    for precision in selection.precisions:
        for size in selection.frames:
            # A graph for any size works a frame off in chunks; one for a camera takes it at once.
            chunked = size is None
            row = GraphRow("frame_graph", precision, "features", size, "exact", chunked)
            for layout in dict.fromkeys(selection.pixel_formats):
                colour = selection.describe_colour(size) if layout == "nv12" else None
                rows.append(replace(row, pixel_format=layout, colour=colour))
        for size in selection.scores:
            rows.append(GraphRow("score_graph", precision, "scores", size, "exact"))
        for size in selection.dense:
            chunked = size is None
            rows.append(
                GraphRow("dense_frame_graph", precision, "features", size, "dense", chunked)
            )
    return rows
