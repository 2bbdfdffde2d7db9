"""Parts of the C library as Python functions, to be held against the modules that they are twins of.

Compiled by themselves: no engine and no bundle takes part.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

NATIVE = Path(__file__).parents[2] / "runtime" / "native"
SOURCES = ("src/change.cpp", "src/turns.cpp", "src/pixel_formats.cpp", "tests/frames/twins.cpp")

FORMATS = ("rgb", "bgr", "rgba", "bgra", "gray", "nv12", "i420", "yuyv", "rgbx", "bgrx")
"""In the order of maclip_pixel_format, which counts from 1."""
MATRICES = (None, "bt601", "bt709", "bt2020")
RANGES = (None, "limited", "full")


class Frame(ctypes.Structure):
    """maclip_frame."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("format", ctypes.c_int),
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("planes", ctypes.c_void_p * 3),
        ("strides", ctypes.c_size_t * 3),
        ("matrix", ctypes.c_int),
        ("range", ctypes.c_int),
    )


@cache
def load_twins() -> ctypes.CDLL:
    """The parts as a shared library, compiled once; skips the test where there is no compiler."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("needs a C++ compiler (tests/system_packages.sh)")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "libtwins.so"
        sources = [NATIVE / source for source in SOURCES]
        # As CMakeLists.txt has it: decisions are Python's to the last bit without fused multiply-adds.
        options = ("-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Werror")
        folders = (f"-I{NATIVE / 'include'}", f"-I{NATIVE / 'src'}")
        subprocess.run([compiler, *options, *folders, *sources, "-o", library], check=True)
        twins = ctypes.CDLL(str(library))
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    twins.twin_convert.argtypes = [pointer, pointer, pointer, size]
    twins.twin_turns_open.argtypes = [number] * 4
    twins.twin_turns_open.restype = pointer
    twins.twin_turns_choose.argtypes = [
        *(pointer, pointer, size),
        *(number, number, number),
        *(pointer, pointer),
    ]
    twins.twin_turns_settle.argtypes = [pointer, pointer, number, pointer]
    twins.twin_turns_close.argtypes = [pointer]
    for name in ("twin_turns_fresh", "twin_turns_detail"):
        getattr(twins, name).argtypes = [pointer]
        getattr(twins, name).restype = ctypes.c_double
    twins.twin_turns_views.argtypes = [pointer]
    return twins


class ConversionError(Exception):
    """What the library's ArgumentError or FrameError says."""


def convert(
    pixel_format: str,
    height: int,
    width: int,
    planes: list[NDArray[np.uint8] | None],
    *,
    matrix: str | None = None,
    value_range: str | None = None,
    strides: list[int] | None = None,
) -> NDArray[np.uint8]:
    """A frame of planes `[rows, bytes]`, whose rows are `strides` bytes apart in memory, as RGB."""
    frame = Frame(ctypes.sizeof(Frame), 1 + FORMATS.index(pixel_format), width, height)
    for place, plane in enumerate(planes):
        frame.planes[place] = None if plane is None else plane.ctypes.data
        frame.strides[place] = (
            strides[place] if strides else 0 if plane is None else plane.strides[0]
        )
    frame.matrix, frame.range = MATRICES.index(matrix), RANGES.index(value_range)
    return convert_frame(frame)


def convert_frame(frame: Frame) -> NDArray[np.uint8]:
    """The library's frame as RGB; ConversionError for one that it refuses."""
    rgb = np.full((min(frame.height, 4096), min(frame.width, 4096), 3), 77, np.uint8)
    message = ctypes.create_string_buffer(1024)
    if load_twins().twin_convert(ctypes.byref(frame), rgb.ctypes.data, message, len(message)):
        raise ConversionError(message.value.decode())
    return rgb


class Turns:
    """The library's turns with the interface of `maclip_runtime.stream.turns.Turns`."""

    def __init__(self, size: int, stride: int, height: int, width: int) -> None:
        self._twins = load_twins()
        self._handle = self._twins.twin_turns_open(size, stride, height, width)
        self.views = self._twins.twin_turns_views(self._handle)

    def close(self) -> None:
        self._twins.twin_turns_close(self._handle)

    @property
    def fresh(self) -> float:
        return self._twins.twin_turns_fresh(self._handle)

    @property
    def detail(self) -> float:
        return self._twins.twin_turns_detail(self._handle)

    def choose(self, frame: NDArray[np.uint8], count: int) -> tuple[NDArray[np.intp], bool]:
        height, width = frame.shape[:2]
        chosen = np.full(self.views, -1, np.int32)
        scene = ctypes.c_int()
        found = self._twins.twin_turns_choose(
            self._handle,
            *(frame.ctypes.data, frame.strides[0], width, height),
            *(count, chosen.ctypes.data, ctypes.byref(scene)),
        )
        return chosen[:found].astype(np.intp), bool(scene.value)

    def settle(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        values = np.ascontiguousarray(values)
        columns = values.shape[1]
        all_values = np.full((self.views, columns), np.nan, np.float32)
        self._twins.twin_turns_settle(
            self._handle, values.ctypes.data, columns, all_values.ctypes.data
        )
        return all_values
