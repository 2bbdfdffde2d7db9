"""TensorRT and TensorRT-RTX on an encoder's plan: views of several frames in one batch.

A small picture has two views, and a camera's frame a few that are refreshed: one frame alone leaves a GPU
idle. Here the host cuts the views, and those of whatever frames come fill batches of one size. A batch goes
off when it is full, when the device has nothing to do, or when somebody waits for it; one that is not full
is of the smallest power of two that takes it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import BundleFile
from maclip_runtime.device_frames import DeviceFrame
from maclip_runtime.engines.chunks import split_alike
from maclip_runtime.engines.cuda import Buffer, Cuda
from maclip_runtime.engines.engine import EncodingTime, Engine
from maclip_runtime.engines.execution import Execution
from maclip_runtime.engines.signature import check_features
from maclip_runtime.engines.tensorrt_library import import_library
from maclip_runtime.errors import EngineError, MaclipError
from maclip_runtime.method.pixels import Floats, Frame, Pixels
from maclip_runtime.method.views import iterate_views

_BATCHES = 2  # one is filled while the other is computed
_PORTION = 8  # views cut at a time: 5 MB


@dataclass(eq=False)
class _Batch:
    """The memory of a batch, and whose views are in it."""

    pixels: Buffer
    features: Buffer
    started: Any  # event
    done: Any  # event
    shares: list[tuple[_Pending, slice, slice]] = field(
        default_factory=list
    )  # rows here, and there
    filled: int = 0


class _Pending:
    """The features of a frame whose views are in one batch or in several."""

    def __init__(self, engine: BatchedTensorRtEngine, views: int, dim: int, pixels: int) -> None:
        self._engine = engine
        self.features: Floats = np.empty((views, dim), np.float32)
        self.missing = views
        self.error: MaclipError | None = None
        self.seconds = 0.0  # of the batches that they are in
        self._pixels = pixels

    def result(self) -> Floats:
        """The features; sends off the batch that they are in, if need be, and waits for the device."""
        self._engine.finish(self)
        if self.error is not None:
            raise self.error
        return self.features

    def done(self) -> bool:
        """Whether the device has finished them."""
        return self._engine.has_finished(self)

    @property
    def time(self) -> EncodingTime:
        """Uploading and encoding, with the others in the same batches."""
        return EncodingTime({"encode": self.seconds}, self._pixels)


class BatchedTensorRtEngine(Engine):
    """Runs one plan of an image encoder.

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
        self.view_mode = "exact"
        self.device = device
        self._file = file
        self._lock = threading.Condition(threading.RLock())
        self._waiting = 0  # threads that wait for the device
        self._under_way: deque[_Batch] = deque()
        self._open: _Batch | None = None  # that is being filled
        trt = trt if trt is not None else import_library(library)
        self._cuda = cuda if cuda is not None else Cuda(device)
        try:
            self._execution = Execution(bundle, file, trt, self._cuda, "pixels")
            _, _, (self._size, *view) = self._execution.plan.list_shapes("pixels")
            self._view = tuple(view)
            # Small pictures, of two views each, that fill what is computed and what is filled.
            self.ahead = max(self.ahead, _BATCHES * self._size // 2 - 1)
            self._dim = int(self._execution.plan.engine.get_tensor_shape("features")[-1])
            self._batches = [self._allocate() for _ in range(_BATCHES)]
            self._free = list(self._batches)
        except BaseException:
            self._release()
            raise

    def submit(self, frame: Frame | DeviceFrame, views: Sequence[int] | None = None) -> _Pending:
        """Take a frame; see `Engine.submit`. Waits where both batches are full."""
        self._check(frame, views)
        assert not isinstance(frame, DeviceFrame)
        count = self._geometry.count(*frame.shape[:2]) if views is None else len(views)
        pending = _Pending(self, count, self._dim, count * self._geometry.size**2)
        start = 0
        for pixels in iterate_views(
            frame, self._geometry, _PORTION, views
        ):  # several threads at once
            with self._lock:
                self._check(frame, views)  # nobody may have closed it meanwhile
                self._add(pending, start, pixels)
            start += len(pixels)
        with self._lock:
            self._send_if_idle()
        return pending

    def finish(self, pending: _Pending) -> None:
        """Wait until a frame has its features or an error."""
        while True:
            with self._lock:
                if not pending.missing:
                    return
                batch = self._find(pending)
                if batch is None:  # they are in the open one
                    self._send()
                    continue
                self._waiting += 1
            try:
                with suppress(EngineError):  # which collecting it tells those whose views are in it
                    self._cuda.synchronize(batch.done)  # others may fill the next one meanwhile
            finally:
                with self._lock:
                    self._waiting -= 1
                    while self._find(pending) is batch:
                        self._collect()
                    self._lock.notify_all()

    def has_finished(self, pending: _Pending) -> bool:
        """Whether nobody would have to wait for a frame."""
        with self._lock:
            while self._under_way and self._is_idle(self._under_way[0]):
                self._collect()
            self._send_if_idle()
            return not pending.missing

    def close(self) -> None:
        """Finish what was submitted and free everything."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._open is not None:
                self._send()
            while self._under_way:
                self._collect()
            self._lock.wait_for(lambda: not self._waiting)  # on events that are about to be freed
            self._release()

    def _release(self) -> None:
        execution: Execution | None = vars(self).pop("_execution", None)
        try:
            if execution is not None:
                execution.close()
        finally:
            self._cuda.close()

    def _allocate(self) -> _Batch:
        cuda = self._cuda
        pixels = cuda.make_buffer(self._size * int(np.prod(self._view)) * 4)
        pixels.host[:] = 0  # rows that are never filled are computed, too
        features = cuda.make_buffer(self._size * self._dim * 4)
        return _Batch(pixels, features, cuda.make_event(), cuda.make_event())

    def _add(self, pending: _Pending, start: int, pixels: Pixels) -> None:
        """Put views into the batch that is open, and go on with the next where it is full."""
        taken = 0
        while taken < len(pixels):
            if self._open is None:
                if not self._free:
                    self._collect()
                self._open = self._free.pop()
            batch = self._open
            count = min(len(pixels) - taken, self._size - batch.filled)
            rows = slice(batch.filled, batch.filled + count)
            self._see_pixels(batch)[rows] = pixels[taken : taken + count]
            batch.shares.append((pending, rows, slice(start + taken, start + taken + count)))
            batch.filled += count
            taken += count
            if batch.filled == self._size:
                self._send()

    def _see_pixels(self, batch: _Batch) -> Pixels:
        size = self._size * int(np.prod(self._view)) * 4
        return batch.pixels.host[:size].view(np.float32).reshape(self._size, *self._view)

    def _send_if_idle(self) -> None:
        """Send off what is in the open batch, unless the device has other work and more may come."""
        if self._open is not None and all(self._is_idle(batch) for batch in self._under_way):
            self._send()

    def _send(self) -> None:
        """Have the open batch computed; where that fails, it is the error of those with views in it."""
        batch, self._open = self._open, None
        assert batch is not None
        size = split_alike(batch.filled, self._size).chunk
        try:
            self._cuda.use_device()
            self._cuda.record(batch.started, self._execution.stream)
            shapes = {"pixels": (size, *self._view)}
            work = partial(self._enqueue, batch, size)
            self._execution.run(self._batches.index(batch), size, shapes, work)
            self._cuda.record(batch.done, self._execution.stream)
        except MaclipError as error:
            self._abandon(batch, error)
        except BaseException:
            self._abandon(batch, EngineError("interrupted"))
            raise
        else:
            self._under_way.append(batch)

    def _enqueue(self, batch: _Batch, size: int) -> None:
        cuda, stream = self._cuda, self._execution.stream
        cuda.upload(batch.pixels, size * int(np.prod(self._view)) * 4, stream)
        self._execution.enqueue({"pixels": batch.pixels.device, "features": batch.features.device})
        cuda.download(batch.features, size * self._dim * 4, stream)

    def _find(self, pending: _Pending) -> _Batch | None:
        """A batch under way with views of a frame."""
        holding = (b for b in self._under_way if any(share[0] is pending for share in b.shares))
        return next(holding, None)

    def _abandon(self, batch: _Batch, error: MaclipError) -> None:
        """Say to those whose views are in a batch that it could not be run."""
        with suppress(EngineError):
            self._cuda.finish(self._execution.stream)  # or it could still write to its memory
        self._settle(batch, error)

    def _is_idle(self, batch: _Batch) -> bool:
        """Whether the device is done with a batch, or has failed."""
        try:
            return self._cuda.has_happened(batch.done)
        except EngineError:
            return True

    def _collect(self) -> None:
        """Wait for the oldest batch under way and give its features to their frames."""
        batch = self._under_way.popleft()
        try:
            self._cuda.synchronize(batch.done)
            seconds = self._cuda.measure(batch.started, batch.done)
        except EngineError as error:
            self._settle(batch, error)
            return
        table = batch.features.host[: self._size * self._dim * 4].view(np.float32)
        features = table.reshape(self._size, self._dim)
        for pending, rows, place in batch.shares:
            pending.seconds += seconds
            try:
                found = check_features(
                    self._file, features[rows], rows.stop - rows.start, self._dim
                )
                pending.features[place] = found
            except EngineError as error:
                pending.error = error
        self._settle(batch, None)

    def _settle(self, batch: _Batch, error: MaclipError | None) -> None:
        """Make a batch's memory free, and say of its frames what is no longer missing."""
        for pending, rows, _ in batch.shares:
            pending.missing -= rows.stop - rows.start
            pending.error = pending.error or error
        batch.shares, batch.filled = [], 0
        self._free.append(batch)
