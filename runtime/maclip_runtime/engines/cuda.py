"""The little of CUDA that an engine needs, over either runtime of `cudart`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.engines.cudart import open_runtime
from maclip_runtime.errors import EngineError

_NOT_READY = 600  # cudaErrorNotReady
_ALIGNMENT = 256  # bytes: what cudaMalloc gives, and what TensorRT may count on for every tensor


def pad(size: int) -> int:
    """`size` in bytes, rounded up to where another tensor may begin."""
    return -(-size // _ALIGNMENT) * _ALIGNMENT


@dataclass(frozen=True)
class Buffer:
    """Memory that host and device exchange: page-locked bytes on the host, and their place on the device.

    `shared`: both are the same memory, as a GPU that shares the host's can have it; nothing is copied then.
    """

    host: NDArray[np.uint8]
    device: int
    shared: bool


class Cuda:
    """Streams, events, memory and graphs of one device; `close` frees everything it made.

    device: its number. runtime: by default what `open_runtime` finds, or something with its functions.
    Every method raises EngineError if its CUDA call fails.
    """

    def __init__(self, device: int = 0, runtime: Any = None) -> None:
        self._api = runtime if runtime is not None else open_runtime(device)[1]
        self._device = device
        self._made: list[tuple[Callable[[Any], Any], Any]] = []
        attribute = self._api.cudaDeviceAttr.cudaDevAttrIntegrated
        self._integrated = bool(self._check(self._api.cudaDeviceGetAttribute(attribute, device)))

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

    def make_buffer(self, size: int) -> Buffer:
        """`size` bytes for what is uploaded or downloaded.

        Page-locked, so that copies run beside the host; an integrated GPU uses the host's memory itself.
        """
        size = pad(size)
        api, shared = self._api, self._integrated
        flag = api.cudaHostAllocMapped if shared else api.cudaHostAllocDefault
        address = int(self._keep(api.cudaFreeHost, api.cudaHostAlloc(size, flag)))
        memory = (ctypes.c_uint8 * size).from_address(address)
        if shared:
            device = int(self._check(api.cudaHostGetDevicePointer(address, 0)))
        else:
            device = self.allocate(size)
        return Buffer(np.ctypeslib.as_array(memory), device, shared)

    def upload(self, buffer: Buffer, size: int, stream: Any) -> None:
        """Bring the first bytes of a buffer to the device, in its turn on the stream."""
        if not buffer.shared:
            kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
            source = buffer.host.ctypes.data
            self._check(self._api.cudaMemcpyAsync(buffer.device, source, size, kind, stream))

    def download(self, buffer: Buffer, size: int, stream: Any) -> None:
        """Bring the first bytes of a buffer to the host, in its turn on the stream."""
        if not buffer.shared:
            kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
            target = buffer.host.ctypes.data
            self._check(self._api.cudaMemcpyAsync(target, buffer.device, size, kind, stream))

    def copy_rows(
        self, buffer: Buffer, address: int, pitch: int, width: int, rows: int, stream: Any
    ) -> None:
        """Copy rows of `width` bytes, `pitch` apart on the device, to a buffer, in turn on the stream."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self._check(
            self._api.cudaMemcpy2DAsync(
                buffer.device, width, address, pitch, width, rows, kind, stream
            )
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
        graph = None
        try:
            try:
                yield made
            finally:  # ends it, whatever state it is in
                status, graph = self._api.cudaStreamEndCapture(stream)
            self._check((status,))
            made.append(
                self._keep(self._api.cudaGraphExecDestroy, self._api.cudaGraphInstantiate(graph, 0))
            )
        except BaseException:
            self._api.cudaGetLastError()  # which would be reported by the next call otherwise
            raise
        finally:
            if graph:
                self._api.cudaGraphDestroy(graph)

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
