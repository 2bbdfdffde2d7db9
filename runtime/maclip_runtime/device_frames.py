"""Frames that are on a GPU already, as decoders and other libraries hand them over.

There are two protocols: `__cuda_array_interface__` (CuPy, torch, Numba, jetson-utils) and DLPack
(PyNvVideoCodec, JAX).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np

from maclip_runtime.errors import PictureError

_CUDA, _CUDA_MANAGED = 2, 13  # DLDeviceType
_UNSIGNED = 1  # DLDataTypeCode


@dataclass(frozen=True, eq=False)
class DevicePixels:
    """Where the pixels of a device frame are: rows of `pitch` bytes from `address` on.

    stream: on which they are written, if that must be waited for. owner: keeps the memory alive.
    """

    address: int
    pitch: int
    stream: int | None
    owner: Any


@dataclass(frozen=True, eq=False)
class DeviceFrame:
    """A frame, uint8 RGB `[H, W, 3]`, in the memory of a GPU; `array` is what was handed over."""

    array: Any
    shape: tuple[int, ...]
    device: int | None  # its GPU's number, if the array says so

    def __str__(self) -> str:
        return describe_device_array(self.array)

    @property
    def size(self) -> int:
        """Bytes of its pixels."""
        return int(np.prod(self.shape))

    def locate(self, stream: int) -> DevicePixels:
        """The pixels, for work on a stream of the consumer's."""
        if hasattr(self.array, "__cuda_array_interface__"):
            return _read_interface(self.array)[1]
        # The producer orders its own work before that on the stream.
        return _read_capsule(self.array, self.array.__dlpack__(stream=stream))


class CudaArray(Protocol):
    """An array on a GPU that says so by `__cuda_array_interface__`."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...


class DlpackArray(Protocol):
    """An array, on a GPU or not, that is handed over by DLPack."""

    shape: Any

    def __dlpack_device__(self) -> tuple[int, int]: ...

    def __dlpack__(self, *, stream: int | None = None) -> Any: ...


DeviceArray = CudaArray | DlpackArray


def is_on_device(picture: object) -> TypeGuard[DeviceArray]:
    """Whether this is an array in the memory of a GPU."""
    if isinstance(picture, np.ndarray):
        return False
    if hasattr(picture, "__cuda_array_interface__"):
        return True
    return hasattr(picture, "__dlpack_device__") and int(picture.__dlpack_device__()[0]) in (
        _CUDA,
        _CUDA_MANAGED,
    )


def describe_device_array(array: DeviceArray) -> str:
    """How messages and results name an array on a GPU."""
    given: Any = array
    entries = getattr(given, "__cuda_array_interface__", None)
    return f"<array {tuple(entries['shape'] if entries else given.shape)} on the GPU>"


def take_device_frame(array: DeviceArray) -> DeviceFrame:
    """The frame that an array on a GPU is; PictureError if it is none. Nothing is copied."""
    given: Any = array
    if hasattr(given, "__cuda_array_interface__"):
        return DeviceFrame(given, _read_interface(given)[0], None)
    shape = tuple(int(length) for length in given.shape)
    _check_shape(shape)
    return DeviceFrame(given, shape, int(given.__dlpack_device__()[1]))


def _read_interface(array: Any) -> tuple[tuple[int, ...], DevicePixels]:
    """What `__cuda_array_interface__` (version 3) says: shape and pixels."""
    entries = array.__cuda_array_interface__
    shape = tuple(entries["shape"])
    _check_shape(shape)
    if entries["typestr"][1:] != "u1":
        raise _refuse(shape, f"of the type {entries['typestr']}")
    strides = entries.get("strides") or (shape[1] * 3, 3, 1)
    _check_strides(shape, strides)
    stream = entries.get("stream")
    return shape, DevicePixels(int(entries["data"][0]), int(strides[0]), stream, array)


class _DLTensor(ctypes.Structure):
    """DLPack's description of a tensor, the beginning of a DLManagedTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


def _read_capsule(array: Any, capsule: Any) -> DevicePixels:
    """The pixels in a DLPack capsule, which frees what it holds once nobody refers to it."""
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    tensor = _DLTensor.from_address(get_pointer(capsule, b"dltensor"))
    shape = tuple(tensor.shape[: tensor.ndim])
    _check_shape(shape)
    if (tensor.code, tensor.bits, tensor.lanes) != (_UNSIGNED, 8, 1):
        raise _refuse(shape, "of another type")
    strides = tuple(tensor.strides[:3]) if tensor.strides else (shape[1] * 3, 3, 1)
    _check_strides(shape, strides)
    return DevicePixels(tensor.data + tensor.byte_offset, int(strides[0]), None, (array, capsule))


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or shape[2] != 3 or not all(shape):
        raise _refuse(shape, "of this shape")


def _check_strides(shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    """Rows may be padded, pixels may not."""
    if tuple(strides[1:]) != (3, 1) or strides[0] < shape[1] * 3:
        raise _refuse(shape, f"with strides {tuple(strides)}")


def _refuse(shape: tuple[int, ...], fault: str) -> PictureError:
    return PictureError(
        f"<array {shape} on the GPU>", f"{fault}, not uint8 RGB [H, W, 3]", "convert it on the GPU"
    )
