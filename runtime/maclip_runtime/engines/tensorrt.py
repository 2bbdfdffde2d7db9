"""TensorRT and TensorRT-RTX: a frame graph's plan in, raw frames in, features out.

The host uploads three bytes a pixel and the views wanted, and nothing else. Two slots take turns: while the
compute stream works on one frame, the copy stream uploads the next. A plan with the input `views` works a
frame off in equal chunks that its profile can take (the last chunk repeats the last view to fill up), so
memory is bounded by the chunk, and one CUDA graph per slot replays all chunks of a frame. Memory is taken
once, for the largest frame of the profile.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle.manifest import BundleFile, Shape
from maclip_runtime.engines.cuda import Cuda, pad
from maclip_runtime.engines.engine import EncodingTime, Engine
from maclip_runtime.engines.loading import load_plan
from maclip_runtime.engines.signature import check_features
from maclip_runtime.engines.slots import Slot, Split, allocate_slot, split_views
from maclip_runtime.engines.tensorrt_library import import_library
from maclip_runtime.errors import EngineError, FrameError, Remedy
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Floats, Frame
from maclip_runtime.vocabulary import PlanLibrary

_SLOTS = 2
# A shape that comes a third time is worth a CUDA graph; cameras of alternating sizes never get that far.
_CAPTURE_AT = 3


@dataclass
class _Pending:
    """A frame under way in a slot; its features are copied out of it when somebody wants either."""

    engine: TensorRtEngine
    slot: Slot
    rows: NDArray[np.intp]  # of the features on the host, those wanted
    lock: threading.Lock = field(default_factory=threading.Lock)
    features: Floats | None = None
    time: EncodingTime = field(default_factory=lambda: EncodingTime({}, 0))

    def result(self) -> Floats:
        """The features; waits for the device."""
        self.collect()
        assert self.features is not None
        return self.features

    def done(self) -> bool:
        """Whether the device has finished it."""
        return self.features is not None or self.engine.is_done(self.slot)

    def collect(self) -> None:
        """Wait for the device and copy the features out of the slot, once."""
        with self.lock:
            if self.features is None:
                self.features, self.time = self.engine.download(self.slot, self.rows)


class TensorRtEngine(Engine):
    """Runs one plan of a frame graph.

    plan: its bytes; file: its entry in the manifest. again: how to build it anew, for messages. trt and
    cuda stand in for the library and CUDA in tests.
    """

    def __init__(
        self,
        plan: bytes,
        file: BundleFile,
        geometry: ViewGeometry,
        *,
        again: Remedy,
        device: int = 0,
        trt: Any = None,
        cuda: Cuda | None = None,
    ) -> None:
        super().__init__(geometry)
        assert file.plan is not None
        self.name = file.plan.library
        self.precision = file.precision or "fp32"
        self.view_mode = file.view_mode or "exact"
        self.device = device
        self._file = file
        self._again = again
        self._trt = trt if trt is not None else import_library(file.plan.library)
        self._cuda = cuda if cuda is not None else Cuda(device)
        self._context: Any = None
        self._lock = threading.RLock()  # one thread at a time enqueues
        self._under_way: deque[_Pending] = deque()
        self._shape: tuple[Shape, Split] | None = None  # that the context is set up for
        self._seen: Counter[tuple[Shape, Split]] = Counter()
        self._capturable = True
        try:
            self._cuda.use_device()
            self._loaded = load_plan(plan, self._trt, again)
            self._loaded.check(file, geometry.size)
            self._context = self._make_context(file.plan.library)
            self._chunk_limit: int | None = None
            if file.chunked:
                self._chunk_limit = self._loaded.bounds("views")[1][0]
            self._smallest, self._largest = self._loaded.bounds("frame")
            self._dim = int(self._loaded.engine.get_tensor_shape("features")[-1])
            self._compute, self._copy = self._cuda.make_stream(), self._cuda.make_stream()
            most = split_views(geometry.count(*self._largest[:2]), self._chunk_limit)
            self._slots = [
                allocate_slot(self._cuda, self._largest, most, self._dim) for _ in range(_SLOTS)
            ]
        except BaseException:
            self._release()
            raise

    def submit(self, frame: Frame, views: Sequence[int] | None = None) -> _Pending:
        """Take a frame; see `Engine.submit`. Two are under way at once; a third waits for the first."""
        with self._lock:
            self._check(frame, views)
            self._check_shape(frame.shape)
            self._cuda.use_device()
            if len(self._under_way) == _SLOTS:
                oldest = self._under_way.popleft()
                oldest.collect()
                slot = oldest.slot
            else:
                slot = next(s for s in self._slots if all(s is not p.slot for p in self._under_way))
            count = self._geometry.count(*frame.shape[:2])
            chosen = np.arange(count) if views is None else np.asarray(views, np.int64)
            computed = chosen if self._chunk_limit is not None else np.arange(count)
            split = split_views(len(computed), self._chunk_limit)
            self._set_shape(frame.shape, split)
            self._upload(slot, frame, computed, split)
            self._run(slot, split)
            self._cuda.record(slot.done, self._compute)
            rows = np.arange(len(chosen)) if self._chunk_limit is not None else chosen
            pending = _Pending(self, slot, rows)
            self._under_way.append(pending)
            return pending

    def download(self, slot: Slot, rows: NDArray[np.intp]) -> tuple[Floats, EncodingTime]:
        """A copy of a slot's features once the device is done with it, and where the time went."""
        cuda = self._cuda
        cuda.synchronize(slot.done)
        stages = {
            "upload": cuda.measure(slot.started, slot.uploaded),
            "encode": cuda.measure(slot.uploaded, slot.done),
        }
        features: Floats = slot.features_host[rows]  # by indices: a copy
        check_features(self._file, features, len(rows), self._dim)
        return features, EncodingTime(stages, len(rows) * self._geometry.size**2)

    def is_done(self, slot: Slot) -> bool:
        """Whether the device is done with a slot."""
        return self._cuda.has_happened(slot.done)

    def close(self) -> None:
        """Finish what is under way and free everything."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for pending in self._under_way:
                pending.collect()
            self._under_way.clear()
            self._cuda.use_device()
            self._cuda.finish(self._compute)
            self._release()

    def _release(self) -> None:
        # Before the memory they use, and the engine before its runtime.
        self._context = None
        vars(self).pop("_loaded", None)
        self._cuda.close()

    def _make_context(self, library: PlanLibrary) -> Any:
        engine = self._loaded.engine
        if library == "tensorrt-rtx":
            context = self._make_rtx_context(engine)
        else:
            context = engine.create_execution_context()
        if context is None:
            raise EngineError(f"not enough GPU memory for the plan ({self._loaded.reason})")
        return context

    def _make_rtx_context(self, engine: Any) -> Any:
        """A context whose kernels and memory are final, so that it can be captured in a CUDA graph.

        Kernels are compiled for the shapes met: at once, where the default would swap them in later.
        Plans are built with REQUIRE_USER_ALLOCATION, so the activations' memory is given here.
        """
        config = engine.create_runtime_config()
        config.dynamic_shapes_kernel_specialization_strategy = (
            self._trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        config.set_execution_context_allocation_strategy(
            self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        context = engine.create_execution_context(config)
        size = int(engine.device_memory_size_v2)
        if context is not None and size:
            context.set_device_memory(self._cuda.allocate(size), size)
        return context

    def _check_shape(self, shape: Shape) -> None:
        bounds = zip(self._smallest, shape, self._largest, strict=True)
        if not all(low <= length <= high for low, length, high in bounds):
            settings = {**self._again.settings, "frames": None}
            raise FrameError(
                f"the plan takes frames from {_name(self._smallest)} to {_name(self._largest)}, and "
                f"this one is {_name(shape)}",
                Remedy("build one that takes it", self._again.command, settings),
            )

    def _set_shape(self, shape: Shape, split: Split) -> None:
        """Set the context up for frames of a shape and so many views."""
        self._seen[shape, split] += 1
        if self._shape == (shape, split):
            return
        self._cuda.finish(self._compute)  # nothing under way may see the new shape
        self._drop_graphs()
        self._shape = None
        accepted = self._context.set_input_shape("frame", shape)
        if self._chunk_limit is not None:
            accepted = accepted and self._context.set_input_shape("views", (split.chunk,))
        if not accepted:
            reason = self._loaded.reason
            raise FrameError(f"{self.name} refuses frames of {_name(shape)}: {reason}", self._again)
        self._shape = (shape, split)

    def _drop_graphs(self) -> None:
        for slot in self._slots:
            if slot.graph is not None:
                self._cuda.release(slot.graph)
                slot.graph = None

    def _upload(self, slot: Slot, frame: Frame, views: NDArray[Any], split: Split) -> None:
        """The frame and the indices of its views, on the copy stream."""
        cuda = self._cuda
        host = slot.frame_host[: frame.size]
        np.copyto(host.reshape(frame.shape), frame)  # whatever its strides, in one pass
        cuda.record(slot.started, self._copy)
        if self._chunk_limit is not None:
            table = slot.indices_host[: split.chunks * pad(split.chunk * 8) // 8]
            filled = np.minimum(np.arange(split.chunks * split.chunk), split.count - 1)
            rows = views[filled].reshape(split.chunks, split.chunk)
            table.reshape(split.chunks, -1)[:, : split.chunk] = rows
            cuda.upload(slot.indices, table, self._copy)
        cuda.upload(slot.frame, host, self._copy)
        cuda.record(slot.uploaded, self._copy)
        cuda.wait(self._compute, slot.uploaded)

    def _run(self, slot: Slot, split: Split) -> None:
        if slot.graph is not None:
            self._cuda.launch(slot.graph, self._compute)
            return
        self._enqueue(slot, split)
        assert self._shape is not None
        if self._capturable and self._seen[self._shape] >= _CAPTURE_AT:
            self._capture(slot, split)

    def _capture(self, slot: Slot, split: Split) -> None:
        """A CUDA graph of the frame's work, for the frames after it. Where there can be none, none is."""
        # TensorRT-RTX says whether it can be captured; TensorRT can, once it has run a shape.
        capturable = getattr(self._context, "is_stream_capturable", lambda stream: True)
        if not capturable(int(self._compute)):
            return
        try:
            with self._cuda.capture(self._compute) as captured:
                self._enqueue(slot, split)
        except EngineError:
            self._capturable = False  # this frame's own work is on the stream already
        else:
            slot.graph = captured[0]

    def _enqueue(self, slot: Slot, split: Split) -> None:
        """The frame's chunks, and the copies of their features, on the compute stream."""
        self._bind("frame", slot.frame)
        for step in range(split.chunks):
            if self._chunk_limit is not None:
                self._bind("views", slot.indices + step * pad(split.chunk * 8))
            features = slot.features + step * pad(split.chunk * self._dim * 4)
            self._bind("features", features)
            if not self._context.execute_async_v3(int(self._compute)):
                raise EngineError(f"{self.name} failed: {self._loaded.reason}")
            rows = slice(step * split.chunk, min((step + 1) * split.chunk, split.count))
            self._cuda.download(slot.features_host[rows], features, self._compute)

    def _bind(self, tensor: str, address: int) -> None:
        if not self._context.set_tensor_address(tensor, address):
            raise EngineError(f"the plan takes no {tensor}: {self._loaded.reason}", self._again)


def _name(shape: Shape) -> str:
    return f"{shape[0]} x {shape[1]}"
