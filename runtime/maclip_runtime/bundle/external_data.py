"""Graphs that keep weights in other files are refused: a checksum covers the graph alone.

ONNX Runtime, given a graph's bytes, looks for such files in the working directory (1.32 does; 1.17 fails),
where anybody may have put them. The runtime has no `onnx` package to look with, so this walks the graph's
Protocol Buffers encoding: the messages of onnx.proto that lead to a tensor, everything else skipped.
"""

from __future__ import annotations

from maclip_runtime.errors import BundleError

# For each message of onnx.proto the fields that hold messages which hold tensors, in the end.
_CHILDREN: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {
        5: "Tensor",
        6: "Graph",
        10: "Tensor",
        11: "Graph",
        22: "SparseTensor",
        23: "SparseTensor",
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of TensorProto
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5  # wire types; groups (3, 4) ONNX has none of


class _DamagedError(Exception):
    """Not the encoding of an ONNX model."""


def refuse_external_data(graph: bytes) -> None:
    """Raise BundleError, naming no file, if a tensor's data is outside, or if this is no ONNX graph."""
    data = memoryview(graph)
    to_read = [("Model", 0, len(data))]
    try:
        while to_read:
            message, position, end = to_read.pop()
            children = _CHILDREN[message]
            while position < end:
                tag, position = _read_varint(data, position, end)
                field, wire_type = tag >> 3, tag & 7
                if message == "Tensor" and field in (_EXTERNAL_DATA, _DATA_LOCATION):
                    # The location is an enumeration whose 0 is "inside".
                    value, _ = _read_varint(data, position, end)
                    if field == _EXTERNAL_DATA or wire_type != _VARINT or value != 0:
                        raise BundleError(
                            "keeps weights in another file, which no checksum covers",
                            "export the bundle again",
                        )
                start, position = _skip(data, position, end, wire_type)
                if field in children:
                    if wire_type != _BYTES:
                        raise _DamagedError
                    to_read.append((children[field], start, position))
    except _DamagedError:
        raise BundleError("not an ONNX graph", "export the bundle again") from None


def _skip(data: memoryview, position: int, end: int, wire_type: int) -> tuple[int, int]:
    """Where a field's value starts and ends."""
    start = position
    if wire_type == _VARINT:
        _, position = _read_varint(data, position, end)
    elif wire_type == _BYTES:
        length, start = _read_varint(data, position, end)
        position = start + length
    elif wire_type in (_FIXED_64, _FIXED_32):
        position += 8 if wire_type == _FIXED_64 else 4
    else:
        raise _DamagedError
    if position > end:
        raise _DamagedError
    return start, position


def _read_varint(data: memoryview, position: int, end: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _DamagedError
