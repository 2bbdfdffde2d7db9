"""The NVIDIA driver and its GPUs, found through ctypes alone.

No package is needed to answer, and no library that dies without a driver is touched before it has:
TensorRT's lean runtime takes the process down when it is created where there is none.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

_MULTIPROCESSORS = 16  # CUdevice_attribute
_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR = 75, 76


@dataclass(frozen=True)
class Gpu:
    """One GPU: its name, compute capability as digits ("86" is 8.6), memory in bytes, multiprocessors.

    The name alone does not tell a model: "Orin" is that of several modules.
    """

    name: str
    compute_capability: str
    memory: int
    multiprocessors: int | None = None


@dataclass(frozen=True)
class Driver:
    """The driver: the newest CUDA it serves, and its GPUs."""

    cuda: tuple[int, int]
    gpus: tuple[Gpu, ...]


def find_driver() -> Driver | None:
    """The NVIDIA driver with at least one GPU; None where there is none, or it does not answer."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version, count = ctypes.c_int(), ctypes.c_int()
    failed = (
        library.cuInit(0)
        or library.cuDriverGetVersion(ctypes.byref(version))
        or library.cuDeviceGetCount(ctypes.byref(count))
    )
    if failed or not count.value:
        return None
    gpus = tuple(filter(None, (_describe_gpu(library, index) for index in range(count.value))))
    return Driver((version.value // 1000, version.value % 1000 // 10), gpus) if gpus else None


def _describe_gpu(library: ctypes.CDLL, index: int) -> Gpu | None:
    device, memory, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(256)
    major, minor, multiprocessors = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    failed = (
        library.cuDeviceGet(ctypes.byref(device), index)
        or library.cuDeviceGetName(name, len(name), device)
        or library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        or library.cuDeviceGetAttribute(ctypes.byref(major), _COMPUTE_CAPABILITY_MAJOR, device)
        or library.cuDeviceGetAttribute(ctypes.byref(minor), _COMPUTE_CAPABILITY_MINOR, device)
        or library.cuDeviceGetAttribute(ctypes.byref(multiprocessors), _MULTIPROCESSORS, device)
    )
    if failed:
        return None
    capability = f"{major.value}{minor.value}"
    return Gpu(name.value.decode(), capability, memory.value, multiprocessors.value)
