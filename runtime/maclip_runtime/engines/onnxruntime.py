"""ONNX Runtime: views are cut in NumPy and the encoder graph runs on them in micro-batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle import Bundle
from maclip_runtime.errors import EngineError
from maclip_runtime.views import Frame, iterate_views

# Views per run of the encoder. More gains nothing on a CPU (the convolutions fill the cores with one
# view already) and costs memory: 8 views of RN50 need about 250 MB of activations.
MICRO_BATCH = 8


class OnnxRuntimeEngine:
    """The encoder graph of a bundle in ONNX Runtime on the CPU. May be used from several threads."""

    name = "onnxruntime-cpu"

    def __init__(
        self, bundle: Bundle, *, threads: int | None = None, micro_batch: int = MICRO_BATCH
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(
                f"onnxruntime cannot be imported ({error}); "
                "install it with: pip install 'maclip-edge[cpu]'"
            ) from None
        graph = bundle.locate(bundle.find("image_encoder", "fp32"))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only; they reach the caller as exceptions
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001  its exceptions have no common base but Exception
            reason = str(error).splitlines()[0]
            raise EngineError(f"{graph}: ONNX Runtime cannot load it: {reason}") from None
        self._geometry = bundle.manifest.method.views
        self._micro_batch = micro_batch

    def encode(self, frame: Frame) -> NDArray[np.float32]:
        """Features `[V, D]` of a frame's views; see `Engine.encode`."""
        portions = [
            self._session.run(["features"], {"pixels": pixels})[0]
            for pixels in iterate_views(frame, self._geometry, self._micro_batch)
        ]
        return np.concatenate(portions)
