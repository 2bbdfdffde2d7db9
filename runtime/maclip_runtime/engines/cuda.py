"""The little of CUDA that an engine needs, over cuda-bindings (12 and 13 have these names alike)."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.errors import EngineError

_NOT_READY = 600  # cudaErrorNotReady
_ALIGNMENT = 256  # bytes: what cudaMalloc gives, and what TensorRT may count on for every tensor


def pad(size: int) -> int:
    """`size` in bytes, rounded up to where another tensor may begin."""
    return -(-size // _ALIGNMENT) * _ALIGNMENT


class Cuda:
    """Streams, events, memory and graphs of one device; `close` frees everything it made.

    device: its number. runtime: the module `cuda.bindings.runtime`, or something with the same functions.
    Every method raises EngineError if its CUDA call fails.
    """

    def __init__(self, device: int = 0, runtime: Any = None) -> None:
        if runtime is None:
            try:
                runtime = importlib.import_module("cuda.bindings.runtime")
            except ImportError as error:
                raise EngineError(
                    f"cuda-bindings cannot be imported ({error})",
                    "install it with: pip install 'maclip-edge[tensorrt-rtx]'",
                ) from None
        self._api, self._device = runtime, device
        self._made: list[tuple[Callable[[Any], Any], Any]] = []

    def use_device(self) -> None:
        """Make the device this thread's own: CUDA keeps one per thread."""
        self._check(self._api.cudaSetDevice(self._device))

    def make_stream(self) -> Any:
        """A stream that does not wait for the default one."""
        return self._keep(
            self._api.cudaStreamDestroy,
            self._api.cudaStreamCreateWithFlags(self._api.cudaStreamNonBlocking),
        )

    def make_event(self) -> Any:
        """An event that can be waited for and asked for times."""
        return self._keep(self._api.cudaEventDestroy, self._api.cudaEventCreateWithFlags(0))

    def allocate(self, size: int) -> int:
        """The address of `size` bytes on the device."""
        return int(self._keep(self._api.cudaFree, self._api.cudaMalloc(pad(size))))

    def allocate_pinned(self, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
        """An array in page-locked memory: copies to and from it run beside the host."""
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        address = self._keep(
            self._api.cudaFreeHost,
            self._api.cudaHostAlloc(max(size, 1), self._api.cudaHostAllocDefault),
        )
        memory = (ctypes.c_uint8 * size).from_address(int(address))
        return np.ctypeslib.as_array(memory).view(kind).reshape(shape)

    def upload(self, target: int, source: NDArray[Any], stream: Any) -> None:
        """Copy a pinned array to the device, in its turn on the stream."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._check(
            self._api.cudaMemcpyAsync(target, source.ctypes.data, source.nbytes, kind, stream)
        )

    def download(self, target: NDArray[Any], source: int, stream: Any) -> None:
        """Copy from the device to a pinned array, in its turn on the stream."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._check(
            self._api.cudaMemcpyAsync(target.ctypes.data, source, target.nbytes, kind, stream)
        )

    def record(self, event: Any, stream: Any) -> None:
        """Let the event happen when the stream has done what is on it now."""
        self._check(self._api.cudaEventRecord(event, stream))

    def wait(self, stream: Any, event: Any) -> None:
        """Let the stream's later work wait for the event; the host does not."""
        self._check(self._api.cudaStreamWaitEvent(stream, event, 0))

    def synchronize(self, event: Any) -> None:
        """Wait, on the host, for the event."""
        self._check(self._api.cudaEventSynchronize(event))

    def has_happened(self, event: Any) -> bool:
        """Whether the host would not have to wait for the event."""
        (status,) = self._api.cudaEventQuery(event)
        if int(status) == _NOT_READY:
            return False
        self._check((status,))
        return True

    def finish(self, stream: Any) -> None:
        """Wait, on the host, for everything on the stream."""
        self._check(self._api.cudaStreamSynchronize(stream))

    def measure(self, start: Any, end: Any) -> float:
        """Seconds between two events that have happened."""
        return float(self._check(self._api.cudaEventElapsedTime(start, end))) / 1e3

    def free_memory(self) -> int:
        """Bytes of device memory that nobody uses."""
        return int(self._check(self._api.cudaMemGetInfo())[0])

    @contextmanager
    def capture(self, stream: Any) -> Iterator[list[Any]]:
        """Record what is enqueued on the stream, running nothing; the list then holds the CUDA graph.

        A capture that fails leaves the stream as it was, and raises EngineError.
        """
        made: list[Any] = []
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._check(self._api.cudaStreamBeginCapture(stream, mode))
        try:
            yield made
        except BaseException:
            self._api.cudaStreamEndCapture(stream)  # ends it, whatever state it is in
            self._api.cudaGetLastError()  # which would be reported by the next call otherwise
            raise
        status, graph = self._api.cudaStreamEndCapture(stream)
        if int(status):
            self._api.cudaGetLastError()
        self._check((status, graph))
        made.append(
            self._keep(self._api.cudaGraphExecDestroy, self._api.cudaGraphInstantiate(graph, 0))
        )
        self._check(self._api.cudaGraphDestroy(graph))

    def launch(self, graph: Any, stream: Any) -> None:
        """Replay a captured graph on the stream."""
        self._check(self._api.cudaGraphLaunch(graph, stream))

    def release(self, handle: Any) -> None:
        """Free one thing before the others."""
        for place, (release, made) in enumerate(self._made):
            if made is handle:
                del self._made[place]
                release(handle)
                return

    def close(self) -> None:
        """Free everything, the last made first."""
        while self._made:
            release, handle = self._made.pop()
            release(handle)

    def _keep(self, release: Callable[[Any], Any], result: tuple[Any, ...]) -> Any:
        handle = self._check(result)
        self._made.append((release, handle))
        return handle

    @staticmethod
    def _check(result: tuple[Any, ...]) -> Any:
        """What a cuda-bindings call returned beside its status."""
        status, *values = result
        if int(status):
            raise EngineError(f"CUDA call failed: {getattr(status, 'name', status)}")
        return values[0] if len(values) == 1 else tuple(values)
