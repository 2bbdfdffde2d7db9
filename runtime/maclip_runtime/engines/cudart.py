"""CUDA's runtime library: NVIDIA's cuda-bindings where they work, else `libcudart` itself, through ctypes.

cuda-bindings have a runtime of their own inside. The wheel for aarch64 has the servers' (SBSA), which finds
no driver on a Jetson with JetPack 6, and one for CUDA 13 finds none of CUDA 12; `libcudart` comes with the
machine and is for it.
"""

from __future__ import annotations

import ctypes
import importlib
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from maclip_runtime.errors import EngineError

_MAJORS = (13, 12)  # of CUDA, whose names and arguments below are alike
# Where it lies if the loader does not know it: CUDA's own place, and that of NVIDIA's packages on PyPI.
_FOLDERS = ("/usr/local/cuda/lib64", "/usr/local/cuda/targets/aarch64-linux/lib")

_HANDLE, _SIZE, _INT, _FLAGS = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_uint


class Out:
    """An argument through which a call gives something back."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


# The calls of cuda_runtime_api.h that `Cuda` makes, by their arguments.
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cudaSetDevice": (_INT,),
    "cudaDeviceGetAttribute": (Out(_INT), _INT, _INT),
    "cudaMemGetInfo": (Out(_SIZE), Out(_SIZE)),
    "cudaGetLastError": (),
    "cudaStreamCreateWithFlags": (Out(_HANDLE), _FLAGS),
    "cudaStreamDestroy": (_HANDLE,),
    "cudaStreamSynchronize": (_HANDLE,),
    "cudaStreamWaitEvent": (_HANDLE, _HANDLE, _FLAGS),
    "cudaEventCreateWithFlags": (Out(_HANDLE), _FLAGS),
    "cudaEventDestroy": (_HANDLE,),
    "cudaEventRecord": (_HANDLE, _HANDLE),
    "cudaEventSynchronize": (_HANDLE,),
    "cudaEventQuery": (_HANDLE,),
    "cudaEventElapsedTime": (Out(ctypes.c_float), _HANDLE, _HANDLE),
    "cudaMalloc": (Out(_HANDLE), _SIZE),
    "cudaFree": (_HANDLE,),
    "cudaHostAlloc": (Out(_HANDLE), _SIZE, _FLAGS),
    "cudaHostGetDevicePointer": (Out(_HANDLE), _HANDLE, _FLAGS),
    "cudaFreeHost": (_HANDLE,),
    "cudaMemcpyAsync": (_HANDLE, _HANDLE, _SIZE, _INT, _HANDLE),
    "cudaMemcpy2DAsync": (_HANDLE, _SIZE, _HANDLE, _SIZE, _SIZE, _SIZE, _INT, _HANDLE),
    "cudaStreamBeginCapture": (_HANDLE, _INT),
    "cudaStreamEndCapture": (_HANDLE, Out(_HANDLE)),
    "cudaGraphInstantiate": (Out(_HANDLE), _HANDLE, ctypes.c_ulonglong),
    "cudaGraphLaunch": (_HANDLE, _HANDLE),
    "cudaGraphDestroy": (_HANDLE,),
    "cudaGraphExecDestroy": (_HANDLE,),
}


class Cudart:
    """`libcudart` with the calls and names that cuda-bindings give it: a call returns (status, *results).

    library: the loaded library. AttributeError where it lacks a call.
    """

    cudaStreamNonBlocking = 1  # noqa: N815
    cudaHostAllocDefault, cudaHostAllocMapped = 0, 2  # noqa: N815
    cudaMemcpyKind = SimpleNamespace(  # noqa: N815
        cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2, cudaMemcpyDeviceToDevice=3
    )
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815
    cudaDeviceAttr = SimpleNamespace(cudaDevAttrIntegrated=18)  # noqa: N815

    def __init__(self, library: Any) -> None:
        self._name_error = library.cudaGetErrorName
        self._name_error.argtypes, self._name_error.restype = (ctypes.c_int,), ctypes.c_char_p
        for name, arguments in SIGNATURES.items():
            setattr(self, name, self._wrap(getattr(library, name), arguments))

    def _wrap(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        function.restype = ctypes.c_int
        function.argtypes = [
            ctypes.POINTER(argument.kind) if isinstance(argument, Out) else argument
            for argument in arguments
        ]

        def call(*given: Any) -> tuple[Any, ...]:
            values = iter(given)
            results = [argument.kind() for argument in arguments if isinstance(argument, Out)]
            outs = iter(results)
            passed = [
                ctypes.byref(next(outs)) if isinstance(argument, Out) else next(values)
                for argument in arguments
            ]
            status = function(*passed)
            return (self._describe(status), *(result.value for result in results))

        return call

    def _describe(self, status: int) -> Status:
        if not status:
            return _SUCCESS
        return Status(status, (self._name_error(status) or b"").decode())


class Status(int):
    """A `cudaError_t`, which knows its name."""

    name: str

    def __new__(cls, value: int, name: str) -> Status:
        """The status of that value."""
        made = super().__new__(cls, value)
        made.name = name
        return made


_SUCCESS = Status(0, "cudaSuccess")


def open_runtime(device: int) -> tuple[str, Any]:
    """The first runtime that finds the device, and its name: cuda-bindings, or a `libcudart`.

    EngineError, with what became of each, if none does.
    """
    tried = []
    for name, load in _list_runtimes():
        try:
            runtime = load()
        except (ImportError, OSError, AttributeError, RuntimeError) as error:
            tried.append(f"{name}: {_shorten(error)}")
            continue
        (status,) = runtime.cudaSetDevice(device)
        if not int(status):
            return name, runtime
        tried.append(f"{name}: {getattr(status, 'name', status)}")
    raise EngineError(
        f"no CUDA runtime finds GPU {device} ({'; '.join(tried)})",
        "install one for this driver's CUDA, such as: pip install nvidia-cuda-runtime-cu12",
    )


def _list_runtimes() -> Iterator[tuple[str, Any]]:
    yield "cuda-bindings", lambda: importlib.import_module("cuda.bindings.runtime")
    for place in list_libraries():
        yield place, lambda place=place: Cudart(ctypes.CDLL(place))


def list_libraries() -> Iterator[str]:
    """Names and paths by which `libcudart` may be loaded."""
    for major in _MAJORS:
        yield f"libcudart.so.{major}"
    packages = Path(sysconfig.get_path("purelib"), "nvidia")
    for major in _MAJORS:
        for folder in (f"cu{major}/lib", "cuda_runtime/lib"):
            path = packages / folder / f"libcudart.so.{major}"
            if path.exists():
                yield str(path)
    for folder in _FOLDERS:
        for path in sorted(Path(folder).glob("libcudart.so.1[23]")):
            yield str(path)


def _shorten(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
