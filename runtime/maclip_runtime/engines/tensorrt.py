"""TensorRT and TensorRT-RTX: a frame graph's plan in, raw frames in, features out.

The host uploads three bytes a pixel and nothing else. Two slots take turns: while the compute stream
works on one frame, the copy stream uploads the next. A plan with the input `views` works a frame off in
equal chunks that its profile can take (the last chunk repeats the last view to fill up), so memory is
bounded by the chunk, and one CUDA graph per slot replays all chunks of a frame. Memory is taken once,
for the largest frame of the profile.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.engines.cuda import Cuda, pad
from maclip_runtime.engines.tensorrt_library import import_library, make_logger
from maclip_runtime.errors import EngineError
from maclip_runtime.manifest import EngineLibrary, Precision, Shape, ViewMode
from maclip_runtime.views import Frame, ViewGeometry


@dataclass
class _Slot:
    """One of the frames under way: its memory, and its CUDA graph once there is one."""

    host: NDArray[Any]  # pinned uint8, room for the largest frame
    device: int
    result: NDArray[Any]  # pinned float32 [rows, D]
    uploaded: Any  # event: the frame is on the device
    done: Any  # event: the features are on the host
    graph: Any = None  # for frames of the engine's present shape
    views: int = 0


class TensorRtEngine:
    """Runs one plan of a frame graph. May be used from several threads; they take turns.

    plan: its bytes. rebuild: the command that makes the plan anew, for messages. trt and cuda stand in
    for the library and CUDA in tests.
    """

    def __init__(
        self,
        plan: bytes,
        library: EngineLibrary,
        geometry: ViewGeometry,
        *,
        precision: Precision,
        rebuild: str,
        trt: Any = None,
        cuda: Cuda | None = None,
    ) -> None:
        self.name: str = library
        self.precision = precision
        self.view_mode: ViewMode = "exact"
        self._geometry, self._rebuild = geometry, rebuild
        self._trt = trt if trt is not None else import_library(library)
        self._logger = make_logger(self._trt)
        self._runtime = self._trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:  # no exception: the reason is in the log
            raise EngineError(
                f"the plan does not run here ({self._logger.reason}); rebuild it: {rebuild}"
            )
        self._cuda = cuda if cuda is not None else Cuda()
        self._context = self._make_context(library)
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        self._chunk_limit = self._bounds("views")[1][0] if "views" in names else None
        self._smallest, self._largest = self._bounds("frame")
        self._dim = int(self._engine.get_tensor_shape("features")[-1])
        self._allocate()
        self._shape: Shape = ()
        self._lock = threading.Lock()  # one thread at a time enqueues

    def encode(self, frame: Frame) -> NDArray[np.float32]:
        """Features `[V, D]` of a frame's views; see `Engine.encode`."""
        slot = self._free.get()
        self._submit(slot, frame)
        return self._collect(slot)

    def encode_many(self, frames: Iterable[Frame]) -> Iterator[NDArray[np.float32]]:
        """Features of each frame in turn; the next frame uploads while this one computes."""
        under_way: _Slot | None = None
        try:
            for frame in frames:
                slot = self._take_slot(wait=under_way is None)
                if slot is None:  # another thread has it: give ours up first, then wait
                    assert under_way is not None
                    previous, under_way = under_way, None
                    yield self._collect(previous)
                    slot = self._free.get()
                self._submit(slot, frame)
                previous, under_way = under_way, slot  # type: ignore[assignment]
                if previous is not None:
                    yield self._collect(previous)
            if under_way is not None:
                last, under_way = under_way, None
                yield self._collect(last)
        finally:
            if under_way is not None:  # the caller stopped early
                self._collect(under_way)

    def close(self) -> None:
        """Free everything; the engine cannot be used afterwards."""
        with self._lock:
            self._cuda.finish(self._compute)
            self._context = self._engine = self._runtime = None  # before the memory they use
            self._cuda.close()

    def _make_context(self, library: EngineLibrary) -> Any:
        if library == "tensorrt-rtx":
            context = self._make_rtx_context()
        else:
            context = self._engine.create_execution_context()
        if context is None:
            raise EngineError(f"not enough GPU memory for the plan ({self._logger.reason})")
        return context

    def _make_rtx_context(self) -> Any:
        """A context whose kernels and memory are final, so that it can be captured in a CUDA graph.

        Kernels are compiled for the shapes met: at once, where the default would swap them in later.
        Plans are built with REQUIRE_USER_ALLOCATION, so the activations' memory is given here.
        """
        config = self._engine.create_runtime_config()
        config.dynamic_shapes_kernel_specialization_strategy = (
            self._trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        config.set_execution_context_allocation_strategy(
            self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        context = self._engine.create_execution_context(config)
        size = int(self._engine.device_memory_size_v2)
        if context is not None and size:
            context.set_device_memory(self._cuda.allocate(size), size)
        return context

    def _bounds(self, tensor: str) -> tuple[Shape, Shape]:
        """The smallest and the largest shape that the plan takes."""
        shape = tuple(self._engine.get_tensor_shape(tensor))
        if -1 not in shape:
            return shape, shape
        smallest, _, largest = self._engine.get_tensor_profile_shape(tensor, 0)
        return tuple(smallest), tuple(largest)

    def _allocate(self) -> None:
        cuda = self._cuda
        self._compute, self._copy = cuda.make_stream(), cuda.make_stream()
        most = self._geometry.count(*self._largest[:2])
        chunk = self._chunk_limit or most
        chunks = -(-most // chunk)
        # Smaller frames have smaller chunks, each at an aligned address, and fit as well.
        self._features = cuda.allocate(chunks * pad(chunk * self._dim * 4))
        self._indices = cuda.allocate(chunks * pad(chunk * 8))
        self._indices_host = cuda.allocate_pinned((chunks * pad(chunk * 8) // 8,), np.int64)
        pixels = int(np.prod(self._largest))
        self._slots = [
            _Slot(
                cuda.allocate_pinned((pixels,), np.uint8),
                cuda.allocate(pixels),
                cuda.allocate_pinned((chunks * chunk, self._dim), np.float32),
                cuda.make_event(),
                cuda.make_event(),
            )
            for _ in range(2)
        ]
        self._free: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)

    def _take_slot(self, *, wait: bool) -> _Slot | None:
        try:
            return self._free.get(block=wait)
        except queue.Empty:
            return None

    def _split(self, views: int) -> tuple[int, int]:
        """Number of chunks and views in each, as even as can be."""
        if self._chunk_limit is None:
            return 1, views
        chunks = -(-views // self._chunk_limit)
        return chunks, -(-views // chunks)

    def _submit(self, slot: _Slot, frame: Frame) -> None:
        try:
            with self._lock:
                if frame.shape != self._shape:
                    self._reshape(frame.shape)
                host = slot.host[: frame.size]
                np.copyto(host, frame.reshape(-1))
                slot.views = self._geometry.count(*frame.shape[:2])
                self._cuda.upload(slot.device, host, self._copy)
                self._cuda.record(slot.uploaded, self._copy)
                self._cuda.wait(self._compute, slot.uploaded)
                self._run(slot)
                self._cuda.record(slot.done, self._compute)
        except BaseException:
            self._free.put(slot)
            raise

    def _collect(self, slot: _Slot) -> NDArray[np.float32]:
        try:
            self._cuda.synchronize(slot.done)
            return slot.result[: slot.views].copy()
        finally:
            self._free.put(slot)

    def _run(self, slot: _Slot) -> None:
        if slot.graph is not None:
            self._cuda.launch(slot.graph, self._compute)
            return
        self._enqueue(slot)
        # TensorRT-RTX says whether it can be captured; TensorRT can, once it has run a shape.
        capturable = getattr(self._context, "is_stream_capturable", lambda stream: True)
        if capturable(int(self._compute)):
            with self._cuda.capture(self._compute) as captured:
                self._enqueue(slot)
            slot.graph = captured[0]

    def _enqueue(self, slot: _Slot) -> None:
        """The frame's chunks, and the copies of their features, on the compute stream."""
        chunks, chunk = self._split(slot.views)
        self._bind("frame", slot.device)
        for step in range(chunks):
            if self._chunk_limit is not None:
                self._bind("views", self._indices + step * pad(chunk * 8))
            features = self._features + step * pad(chunk * self._dim * 4)
            self._bind("features", features)
            if not self._context.execute_async_v3(int(self._compute)):
                raise EngineError(f"{self.name} failed: {self._logger.reason}")
            rows = slice(step * chunk, min((step + 1) * chunk, slot.views))
            self._cuda.download(slot.result[rows], features, self._compute)

    def _bind(self, tensor: str, address: int) -> None:
        if not self._context.set_tensor_address(tensor, address):
            raise EngineError(f"the plan takes no {tensor}: {self._logger.reason}")

    def _reshape(self, shape: Shape) -> None:
        """Set the context up for frames of another shape."""
        bounds = zip(self._smallest, shape, self._largest, strict=True)
        if not all(low <= length <= high for low, length, high in bounds):
            raise EngineError(
                f"the plan takes frames from {_name(self._smallest)} to {_name(self._largest)}, and "
                f"this one is {_name(shape)}; build one that takes it: {self._rebuild} --frames ..."
            )
        self._cuda.finish(self._compute)  # nothing under way may see the new shape
        for slot in self._slots:
            slot.graph = None
        self._shape = ()
        views = self._geometry.count(*shape[:2])
        chunks, chunk = self._split(views)
        accepted = self._context.set_input_shape("frame", shape)
        if self._chunk_limit is not None:
            accepted = accepted and self._context.set_input_shape("views", (chunk,))
            table = self._indices_host[: chunks * pad(chunk * 8) // 8].reshape(chunks, -1)
            indices = np.minimum(np.arange(chunks * chunk), views - 1)
            table[:, :chunk] = indices.reshape(chunks, chunk)
            self._cuda.upload(self._indices, table, self._compute)
            self._cuda.finish(self._compute)
        if not accepted:
            raise EngineError(
                f"{self.name} refuses frames of {_name(shape)}: {self._logger.reason}"
            )
        self._shape = shape


def _name(shape: Shape) -> str:
    return f"{shape[0]} x {shape[1]}"
