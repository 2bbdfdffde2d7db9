"""TensorRT and TensorRT-RTX: a frame graph's plan in, raw frames in, features out.

The host uploads three bytes a pixel and the views wanted, and nothing else. Two slots take turns: while the
compute stream works on one frame, the copy stream uploads the next. A plan with the input `views` works a
frame off in chunks of one size that its profile can take (the last chunk repeats the last view to fill
up), so memory is bounded by the chunk, and one CUDA graph per slot replays all chunks of a frame. In dense
mode a chunk is a block of neighbouring windows. Memory is taken once, for the largest frame of the profile.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import BundleFile, Shape
from maclip_runtime.device_frames import DeviceFrame, DevicePixels
from maclip_runtime.engines.chunks import (
    Split,
    bound_blocks,
    count_pixels,
    group_by_block,
    split_alike,
    split_evenly,
    takes_blocks,
)
from maclip_runtime.engines.compatibility import rebuild
from maclip_runtime.engines.cuda import Cuda, pad
from maclip_runtime.engines.engine import EncodingTime, Engine
from maclip_runtime.engines.execution import Execution
from maclip_runtime.engines.signature import check_features
from maclip_runtime.engines.slots import (
    Slot,
    SlotPending,
    allocate_slot,
    copy_frame,
    measure_rows,
    read_features,
    write_indices,
)
from maclip_runtime.engines.tensorrt_library import import_library
from maclip_runtime.errors import EngineError, FrameError, Remedy
from maclip_runtime.method.pixels import Floats, Frame
from maclip_runtime.pixel_formats import measure_frame

_SLOTS = 2


class TensorRtEngine(Engine):
    """Runs one plan of a frame graph.

    file: the plan, in the bundle; its bytes are verified. trt and cuda stand in for the library and CUDA in
    tests.
    """

    def __init__(
        self,
        bundle: Bundle,
        file: BundleFile,
        *,
        device: int = 0,
        trt: Any = None,
        cuda: Cuda | None = None,
    ) -> None:
        super().__init__(bundle.manifest.method.views)
        assert file.plan is not None
        library = file.plan.library
        self.name = library
        self.precision = file.precision or "fp32"
        self.pixel_format = file.pixel_format
        self.takes_device_frames = file.pixel_format == "rgb24"  # device frames are RGB
        self.view_mode = file.view_mode or "exact"
        self.device = device
        self._file = file
        self._again = rebuild(bundle, library)
        self._lock = threading.RLock()  # one thread at a time enqueues
        self._under_way: deque[SlotPending] = deque()
        trt = trt if trt is not None else import_library(library)
        self._cuda = cuda if cuda is not None else Cuda(device)
        try:
            self._execution = Execution(bundle, file, trt, self._cuda, "frame")
            plan = self._execution.plan
            self._compute, self._copy = self._execution.stream, self._cuda.make_stream()
            self._smallest, _, self._largest = plan.list_shapes("frame")
            # Smallest, best and largest number of views in a run; none where a run takes them all.
            views = plan.list_shapes("views") if file.chunked else ()
            self._chunk_sizes = [shape[0] for shape in views]
            self._dim = int(plan.engine.get_tensor_shape("features")[-1])
            largest = measure_frame(self._largest, self.pixel_format)
            assert largest is not None  # the plan was checked when it was loaded
            counts = range(1, self._geometry.count(*largest) + 1)
            self._by_block = takes_blocks(file)
            splits = (
                [bound_blocks(largest, self._geometry)]
                if self._by_block
                else [self._split(count) for count in counts]
            )
            self._slots = [
                allocate_slot(self._cuda, self._largest, splits, self._dim) for _ in range(_SLOTS)
            ]
        except BaseException:
            self._release()
            raise

    def submit(self, frame: Frame | DeviceFrame, views: Sequence[int] | None = None) -> SlotPending:
        """Take a frame; see `Engine.submit`. Two are under way at once; a third waits for the first.

        One on this GPU is copied within it: to where TensorRT may read it, and a CUDA graph will.
        """
        with self._lock:
            sides = self._check(frame, views)
            self._check_shape(frame.shape)
            if isinstance(frame, DeviceFrame) and frame.device not in (None, self.device):
                raise FrameError(
                    f"the frame is on GPU {frame.device}, and the plan runs on {self.device}",
                    Remedy("use {device}", settings={"device": frame.device}),
                )
            self._cuda.use_device()
            count = self._geometry.count(*sides)
            computed = rows = np.arange(count)
            chunked = self._file.chunked
            if views is not None and chunked:
                computed, rows = np.unique(np.asarray(views, np.int64), return_inverse=True)
            elif views is not None:
                rows = np.asarray(views, np.intp)
            if self._by_block:
                split, computed, places = group_by_block(frame.shape, self._geometry, computed)
                rows = places[rows]
            else:
                split = self._split(len(computed))
            pixels = count_pixels(self._file, frame.shape, self._geometry, split)
            slot = self._find_slot()
            try:
                owner = self._upload(slot, frame, computed, split)
                self._execution.run(
                    self._slots.index(slot),
                    (frame.shape, split),
                    {"frame": frame.shape, **({"views": (split.chunk,)} if chunked else {})},
                    partial(self._enqueue, slot, split),
                )
                self._cuda.record(slot.done, self._compute)
            except BaseException:
                self._settle()
                raise
            pending = SlotPending(
                slot,
                partial(self._download, slot, split, rows, pixels),
                partial(self._is_done, slot),
                owner,
            )
            self._under_way.append(pending)
            return pending

    def close(self) -> None:
        """Finish what is under way and free everything."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._settle()
            self._release()

    def _download(
        self, slot: Slot, split: Split, rows: NDArray[np.intp], pixels: int
    ) -> tuple[Floats, EncodingTime]:
        """A copy of a slot's features once the device is done with it, and where the time went."""
        cuda = self._cuda
        cuda.synchronize(slot.done)
        stages = {
            "upload": cuda.measure(slot.started, slot.uploaded),
            "encode": cuda.measure(slot.uploaded, slot.done),
        }
        features = read_features(slot, split, self._dim)[rows]
        check_features(self._file, features, len(rows), self._dim)
        return features, EncodingTime(stages, pixels)

    def _is_done(self, slot: Slot) -> bool:
        """Whether the device is done with a slot."""
        return self._cuda.has_happened(slot.done)

    def _settle(self) -> None:
        """Collect what is under way, so that nothing uses the slots; whatever failed, the rest is done."""
        for pending in self._under_way:
            pending.collect()
        self._under_way.clear()
        for stream in (self._copy, self._compute):
            try:
                self._cuda.use_device()
                self._cuda.finish(stream)
            except EngineError:  # which whoever waits for its frames is told
                continue

    def _release(self) -> None:
        execution: Execution | None = vars(self).pop("_execution", None)
        try:
            if execution is not None:
                execution.close()
        finally:
            self._cuda.close()

    def _find_slot(self) -> Slot:
        if len(self._under_way) == _SLOTS:
            oldest = self._under_way.popleft()
            oldest.collect()
            return oldest.slot
        return next(s for s in self._slots if all(s is not p.slot for p in self._under_way))

    def _split(self, count: int) -> Split:
        """How so many views are worked off."""
        if not self._chunk_sizes:
            return Split(count, 1, count)
        _, best, largest = self._chunk_sizes
        if self.name == "tensorrt-rtx":  # which compiles kernels for each size
            return split_alike(count, best)
        return split_evenly(count, largest)

    def _check_shape(self, shape: Shape) -> None:
        bounds = zip(self._smallest, shape, self._largest, strict=True)
        if not all(low <= length <= high for low, length, high in bounds):
            settings = {**self._again.settings, "frames": None}
            raise FrameError(
                f"the plan takes frames from {self._name(self._smallest)} to "
                f"{self._name(self._largest)}, and this one is {self._name(shape)}",
                Remedy("build one that takes it", self._again.command, settings),
            )

    def _upload(
        self, slot: Slot, frame: Frame | DeviceFrame, views: NDArray[Any], split: Split
    ) -> Any:
        """The frame and the indices of its views, on the copy stream; what must be kept until then."""
        cuda = self._cuda
        pixels: DevicePixels | None = None
        if isinstance(frame, DeviceFrame):
            pixels = frame.locate(int(self._copy))
            if pixels.stream is not None:
                cuda.record(slot.started, pixels.stream)
                cuda.wait(self._copy, slot.started)
        else:
            host = slot.frame.host[: frame.size].reshape(frame.shape)
            copy_frame(frame, host)
        cuda.record(slot.started, self._copy)
        if self._file.chunked:
            cuda.upload(slot.indices, write_indices(slot, views, split), self._copy)
        if pixels is not None:
            rows, width = frame.shape[0], frame.shape[1] * frame.shape[2]
            cuda.copy_rows(slot.frame, pixels.address, pixels.pitch, width, rows, self._copy)
        else:
            cuda.upload(slot.frame, frame.size, self._copy)
        cuda.record(slot.uploaded, self._copy)
        cuda.wait(self._compute, slot.uploaded)
        return pixels

    def _enqueue(self, slot: Slot, split: Split) -> None:
        """The frame's chunks, and the copy of their features, on the compute stream."""
        for step in range(split.chunks):
            addresses = {
                "frame": slot.frame.device,
                "features": slot.features.device + step * pad(split.chunk * self._dim * 4),
            }
            if self._file.chunked:
                addresses["views"] = slot.indices.device + step * pad(split.chunk * 8)
            self._execution.enqueue(addresses)
        self._cuda.download(slot.features, measure_rows(split, self._dim * 4), self._compute)

    def _name(self, shape: Shape) -> str:
        height, width = measure_frame(shape, self.pixel_format) or shape[:2]
        return f"{height} x {width}"
