"""What a scorer asks of an engine: frame in (uint8 `[H, W, 3]`), features out (float32 `[N, D]`).

An engine takes a frame at once and hands back something to wait for. How it cuts views, and in what
portions it runs them, is its own business; which graph or plan it runs was decided before (`select`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from maclip_runtime.device_frames import DeviceFrame
from maclip_runtime.errors import EngineError, FrameError, Remedy, UsageError
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Floats, Frame
from maclip_runtime.pixel_formats import measure_frame
from maclip_runtime.vocabulary import EngineName, GraphPixelFormat, Precision, ViewMode


@dataclass(frozen=True)
class EncodingTime:
    """Where the time of a frame's features went.

    `stages`: seconds of each, in order: "views" where the host cuts them, "upload" where the frame
    goes to a device, "encode". `pixels`: how many the encoder was given; a view has S x S, and in dense
    mode neighbours share theirs.
    """

    stages: Mapping[str, float]
    pixels: int


class Pending(Protocol):
    """The features of a frame that an engine is working on."""

    def result(self) -> Floats:
        """The features `[N, D]`, unnormalised; waits for them, and raises what went wrong."""

    def done(self) -> bool:
        """Whether `result` would not wait."""

    @property
    def time(self) -> EncodingTime:
        """Where the time went; known once there is a result."""


class Engine(ABC):
    """One graph or plan, ready to run. May be used from several threads; they take turns.

    name, precision, view_mode: as results refer to it. pixel_format: of the frames that it takes; their
    shapes are in `pixel_formats`. device: number of the GPU, None on a CPU.
    """

    name: EngineName
    precision: Precision
    view_mode: ViewMode
    device: int | None
    pixel_format: GraphPixelFormat = "rgb24"
    takes_device_frames: bool = False
    ahead: int = 2  # frames worth having under way beside the one that is waited for

    def __init__(self, geometry: ViewGeometry) -> None:
        self._geometry = geometry
        self._closed = False

    @abstractmethod
    def submit(self, frame: Frame | DeviceFrame, views: Sequence[int] | None = None) -> Pending:
        """Take a frame of at least S x S pixels, and return what will have its views' features.

        views: indices of those wanted, in the order wanted, the last one (V - 1) being the global view; by
        default all. The frame must not change before the result is there. Raises FrameError for a
        frame that this engine cannot take, EngineError after `close`.
        """

    def encode(self, frame: Frame | DeviceFrame, views: Sequence[int] | None = None) -> Floats:
        """Submit a frame and wait for its features `[N, D]`."""
        return self.submit(frame, views).result()

    @abstractmethod
    def close(self) -> None:
        """Finish what was submitted and give back what the engine holds; no frame is taken afterwards."""

    def _check(self, frame: Frame | DeviceFrame, views: Sequence[int] | None) -> tuple[int, int]:
        """Height and width of a frame; refuses what no engine can take."""
        if self._closed:
            raise EngineError(f"{self.name} is closed", "open the scorer again")
        if isinstance(frame, DeviceFrame) and not self.takes_device_frames:
            raise FrameError(
                f"{self.name} takes frames in the host's memory, and this one is on a GPU",
                Remedy(
                    "copy it to the host, or use a frame graph's plan ({engine})",
                    settings={"engine": "tensorrt"},
                ),
            )
        sides = measure_frame(frame.shape, self.pixel_format)
        if sides is None:
            raise FrameError(f"an array of {frame.shape} is no {self.pixel_format} frame")
        height, width = sides
        size = self._geometry.size
        if min(height, width) < size:
            raise FrameError(
                f"a frame of {height} x {width} is smaller than a view of {size} x {size}"
            )
        count = self._geometry.count(height, width)
        if views is not None and not len(views):
            raise UsageError("no views are asked for", "name at least one, or none for all")
        if views is not None and not all(0 <= view < count for view in views):
            raise UsageError(
                f"views {list(views)} are not all in 0 to {count - 1}",
                f"a frame of {height} x {width} has {count} views",
            )
        return height, width
