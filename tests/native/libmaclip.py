"""libmaclip through ctypes: its structs, and its functions as they are."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from twins import FORMATS, Frame

OK, ARGUMENT, BUNDLE, ENGINE, FRAME, MEMORY, INTERNAL = range(7)
ALL_VIEWS, AUTO_VIEWS = 0xFFFFFFFF, 0xFFFFFFFE

_U32, _SIZE, _TEXT = ctypes.c_uint32, ctypes.c_size_t, ctypes.c_char_p
_FLOATS = ctypes.POINTER(ctypes.c_float)


class Error(ctypes.Structure):
    _fields_ = (("size", _SIZE), ("status", ctypes.c_int), ("message", ctypes.c_char * 1024))


class Options(ctypes.Structure):
    _fields_ = (
        ("size", _SIZE),
        ("engine", _TEXT),
        ("precision", _TEXT),
        ("view_mode", _TEXT),
        ("threads", _U32),
        ("device", _U32),
        ("micro_batch", _U32),
        ("onnxruntime_library", _TEXT),
        ("trusted_keys", _TEXT),
    )


class Info(ctypes.Structure):
    _fields_ = (
        ("size", _SIZE),
        *((name, _TEXT) for name in ("bundle", "engine", "precision", "view_mode")),
        *((name, _U32) for name in ("view_size", "view_stride", "features", "attributes")),
    )


class Result(ctypes.Structure):
    _fields_ = (
        ("size", _SIZE),
        *((name, ctypes.c_float) for name in ("score", "similarity", "magnitude", "weight")),
        *((name, _U32) for name in ("views", "width", "height", "enlarged")),
        ("attributes", _FLOATS),
        ("attributes_capacity", _U32),
        ("views_capacity", _U32),
        *(
            (f"view_{name}", _FLOATS)
            for name in ("score", "similarity", "magnitude", "weight", "attributes")
        ),
    )


class Map(ctypes.Structure):
    _fields_ = (
        ("size", _SIZE),
        *((name, _U32) for name in ("rows", "columns", "cell")),
        ("box", ctypes.c_float * 4),
        ("values", _FLOATS),
        ("values_capacity", _U32),
    )


class StreamOptions(ctypes.Structure):
    _fields_ = (("size", _SIZE), ("views_per_frame", _U32), ("budget", ctypes.c_double))


class Reading(ctypes.Structure):
    _fields_ = (
        ("size", _SIZE),
        ("frame", ctypes.c_uint64),
        ("time", ctypes.c_double),
        ("refreshed", _U32),
        ("scene", _U32),
        ("fresh", ctypes.c_float),
        ("detail", ctypes.c_float),
    )


def new(kind: type[Any], **fields: Any) -> Any:
    """A struct of the library with its size set."""
    return kind(size=ctypes.sizeof(kind), **fields)


class NativeError(Exception):
    """A status other than OK, and its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def load(path: Path) -> ctypes.CDLL:
    """The library, its functions' types declared."""
    library = ctypes.CDLL(str(path))
    pointer = ctypes.c_void_p
    library.maclip_open.argtypes = [_TEXT, pointer, pointer, pointer]
    library.maclip_close.argtypes = [pointer]
    library.maclip_close.restype = None
    library.maclip_describe.argtypes = [pointer] * 3
    library.maclip_attribute_name.argtypes = [pointer, _U32]
    library.maclip_attribute_name.restype = _TEXT
    library.maclip_count_views.argtypes = [pointer, _U32, _U32, pointer, pointer]
    library.maclip_score.argtypes = [pointer] * 4
    library.maclip_blend_map.argtypes = [pointer, pointer, _TEXT, pointer, pointer]
    library.maclip_stream_open.argtypes = [pointer] * 4
    library.maclip_stream_push.argtypes = [
        pointer,
        pointer,
        ctypes.c_double,
        pointer,
        pointer,
        pointer,
    ]
    library.maclip_stream_close.argtypes = [pointer]
    library.maclip_stream_close.restype = None
    for name in ("maclip_version", "maclip_status_name"):
        getattr(library, name).restype = _TEXT
    return library


def as_frame(rgb: NDArray[np.uint8]) -> Frame:
    """An RGB array `[H, W, 3]`, which must outlive it, as the library's frame."""
    height, width = rgb.shape[:2]
    frame = Frame(ctypes.sizeof(Frame), 1 + FORMATS.index("rgb"), width, height)
    frame.planes[0], frame.strides[0] = rgb.ctypes.data, rgb.strides[0]
    return frame


def _floats(array: NDArray[np.float32]) -> Any:
    return array.ctypes.data_as(_FLOATS)


@dataclass(frozen=True)
class Scored:
    """A result with its arrays: `attributes` `[K]`, the rest `[V]` and `[V, K]`."""

    result: Result
    attributes: NDArray[np.float32]
    view_score: NDArray[np.float32]
    view_similarity: NDArray[np.float32]
    view_magnitude: NDArray[np.float32]
    view_weight: NDArray[np.float32]
    view_attributes: NDArray[np.float32]


class Library:
    """The library with faults as exceptions."""

    def __init__(self, path: Path) -> None:
        self.functions = load(path)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function whose last argument is the error; NativeError for another status than OK."""
        error = new(Error)
        status = getattr(self.functions, name)(*arguments, ctypes.byref(error))
        assert status == error.status
        if status != OK:
            raise NativeError(status, error.message.decode())
        assert error.message == b""

    def open(self, bundle: Path | str, **options: Any) -> NativeScorer:
        """Open a bundle with options by their names."""
        handle = ctypes.c_void_p()
        given = {
            name: value.encode() if isinstance(value, str) else value
            for name, value in options.items()
        }
        path = str(bundle).encode("utf-8", "surrogateescape")
        self.call("maclip_open", path, ctypes.byref(new(Options, **given)), ctypes.byref(handle))
        return NativeScorer(self, handle)


class NativeScorer:
    """A scorer of the library."""

    def __init__(self, library: Library, handle: ctypes.c_void_p) -> None:
        self.library = library
        self.handle = handle
        self.info = new(Info)
        library.call("maclip_describe", handle, ctypes.byref(self.info))
        self.names = [
            library.functions.maclip_attribute_name(handle, place).decode()
            for place in range(self.info.attributes)
        ]

    def __enter__(self) -> NativeScorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.library.functions.maclip_close(self.handle)

    def count_views(self, height: int, width: int) -> int:
        views = _U32()
        self.library.call("maclip_count_views", self.handle, width, height, ctypes.byref(views))
        return views.value

    def make_room(self, height: int, width: int) -> Scored:
        """A result with all arrays for frames of a size."""
        views, pairs = self.count_views(height, width), self.info.attributes
        attributes = np.full(pairs, np.nan, np.float32)
        columns = [np.full(views, np.nan, np.float32) for _ in range(4)]
        table = np.full((views, pairs), np.nan, np.float32)
        result = new(
            Result,
            attributes=_floats(attributes),
            attributes_capacity=pairs,
            views_capacity=views,
            view_score=_floats(columns[0]),
            view_similarity=_floats(columns[1]),
            view_magnitude=_floats(columns[2]),
            view_weight=_floats(columns[3]),
            view_attributes=_floats(table),
        )
        return Scored(result, attributes, *columns, table)

    def score(self, frame: NDArray[np.uint8] | Frame) -> Scored:
        given = frame if isinstance(frame, Frame) else as_frame(frame)
        scored = self.make_room(given.height, given.width)
        self.library.call(
            "maclip_score", self.handle, ctypes.byref(given), ctypes.byref(scored.result)
        )
        return scored

    def map(self, scored: Scored, quantity: str = "score") -> tuple[Map, NDArray[np.float32]]:
        arguments = (self.handle, ctypes.byref(scored.result), quantity.encode())
        layout = new(Map)
        self.library.call("maclip_blend_map", *arguments, ctypes.byref(layout))
        values = np.full((layout.rows, layout.columns), np.nan, np.float32)
        layout.values, layout.values_capacity = _floats(values), values.size
        self.library.call("maclip_blend_map", *arguments, ctypes.byref(layout))
        return layout, values

    def stream(self, views_per_frame: int = 0, budget: float = 0) -> NativeStream:
        handle = ctypes.c_void_p()
        options = new(StreamOptions, views_per_frame=views_per_frame, budget=budget)
        self.library.call(
            "maclip_stream_open", self.handle, ctypes.byref(options), ctypes.byref(handle)
        )
        return NativeStream(self, handle)


class NativeStream:
    """A stream of the library."""

    def __init__(self, scorer: NativeScorer, handle: ctypes.c_void_p) -> None:
        self.scorer = scorer
        self.handle = handle

    def __enter__(self) -> NativeStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.scorer.library.functions.maclip_stream_close(self.handle)

    def push(self, frame: NDArray[np.uint8] | Frame, time: float) -> tuple[Scored, Reading]:
        given = frame if isinstance(frame, Frame) else as_frame(frame)
        scored, reading = self.scorer.make_room(given.height, given.width), new(Reading)
        self.scorer.library.call(
            "maclip_stream_push",
            self.handle,
            ctypes.byref(given),
            time,
            ctypes.byref(scored.result),
            ctypes.byref(reading),
        )
        return scored, reading
