"""The yardstick of an encoder's arithmetic: ONNX Runtime's own matrix product on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from maclip_runtime.engines.session import import_onnxruntime


@dataclass(frozen=True)
class ArithmeticRate:
    """The encoder's multiply-adds a second, and those of the engine's own float32 matrix product."""

    encoder: float
    sgemm: float

    @property
    def share(self) -> float:
        """The encoder's rate over the product's: 1 is about what float32 can reach; INT8 may pass it."""
        return self.encoder / self.sgemm


# An ONNX graph of one node, c = a @ b (opset 13, IR 8), as the onnx package writes it: the runtime does
# without that package. NumPy's own product is no yardstick, since its BLAS may not know the CPU.
_PRODUCT = (
    b'\x08\x08\x12\x00:[\n\x11\n\x01a\n\x01b\x12\x01c"\x06MatMul\x12\x01m'
    b"Z\x15\n\x01a\x12\x10\n\x0e\x08\x01\x12\n\n\x03\x12\x01m\n\x03\x12\x01k"
    b"Z\x15\n\x01b\x12\x10\n\x0e\x08\x01\x12\n\n\x03\x12\x01k\n\x03\x12\x01n"
    b"b\x15\n\x01c\x12\x10\n\x0e\x08\x01\x12\n\n\x03\x12\x01m\n\x03\x12\x01nB\x04\n\x00\x10\r"
)
_SIDE = 1024  # of its matrices: enough for the full rate, and quick


def measure_sgemm(threads: int | None = None, seconds: float = 0.5) -> float:
    """ONNX Runtime's float32 product of two square matrices, multiply-adds a second: the best in a while.

    threads: by default one per physical core, as engines have it.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(_PRODUCT, options, providers=["CPUExecutionProvider"])
    left, right = np.random.default_rng(0).standard_normal((2, _SIDE, _SIDE), dtype=np.float32)
    best, stop = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < stop:
        start = time.perf_counter()
        session.run(None, {"a": left, "b": right})
        best = min(best, time.perf_counter() - start)
    return _SIDE**3 / best
