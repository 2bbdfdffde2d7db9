"""ONNX Runtime, on the CPU and with its GPU providers.

On the CPU views are cut in NumPy and the encoder graph runs on them in micro-batches. A GPU provider
gets the raw frame, uploaded once, if the bundle has a frame graph for any size.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle import Bundle
from maclip_runtime.errors import BundleError, EngineError, UsageError
from maclip_runtime.manifest import BundleFile, Precision
from maclip_runtime.views import Frame, iterate_views

logger = logging.getLogger(__name__)

# ONNX Runtime's name of the provider behind each engine name.
PROVIDERS = {
    "onnxruntime-cpu": "CPUExecutionProvider",
    "onnxruntime-cuda": "CUDAExecutionProvider",
    "onnxruntime-tensorrt": "TensorrtExecutionProvider",
    "onnxruntime-tensorrt-rtx": "NvTensorRTRTXExecutionProvider",
}
# Views per run of the encoder. On a CPU more gains nothing (one view fills the cores already) and costs
# memory: 8 views of RN50 need about 250 MB of activations. A GPU is filled by about 32.
MICRO_BATCH = 8
GPU_MICRO_BATCH = 32


class OnnxRuntimeEngine:
    """A graph of a bundle in ONNX Runtime. May be used from several threads.

    name: one of PROVIDERS. precision: of the graph; by default float32 on the CPU, and half on a GPU
    if the bundle has it. A provider that is asked for and does not run is an EngineError: nothing falls
    back to the CPU silently.
    """

    def __init__(
        self,
        bundle: Bundle,
        name: str = "onnxruntime-cpu",
        *,
        precision: Precision | None = None,
        threads: int | None = None,
        micro_batch: int | None = None,
    ) -> None:
        onnxruntime = import_onnxruntime()
        self.name = name
        self._geometry = bundle.manifest.method.views
        on_gpu = name != "onnxruntime-cpu"
        self._micro_batch = micro_batch or (GPU_MICRO_BATCH if on_gpu else MICRO_BATCH)
        graph = choose_graph(bundle, precision, on_gpu=on_gpu)
        self.precision: Precision = graph.precision or "fp32"
        self._takes_frames = graph.kind == "frame"
        self._session = _open_session(onnxruntime, bundle, graph, PROVIDERS[name], threads)

    def encode(self, frame: Frame) -> NDArray[np.float32]:
        """Features `[V, D]` of a frame's views; see `Engine.encode`."""
        portions = self._run_chunks(frame) if self._takes_frames else self._run_batches(frame)
        return np.concatenate(list(portions))

    def encode_many(self, frames: Iterable[Frame]) -> Iterator[NDArray[np.float32]]:
        """Features of each frame in turn."""
        return map(self.encode, frames)

    def close(self) -> None:
        """Nothing to do: a session frees itself."""

    def _run_batches(self, frame: Frame) -> Iterator[NDArray[np.float32]]:
        for pixels in iterate_views(frame, self._geometry, self._micro_batch):
            yield self._session.run(["features"], {"pixels": pixels})[0]

    def _run_chunks(self, frame: Frame) -> Iterator[NDArray[np.float32]]:
        """The frame graph on portions of the views, the frame bound, and so uploaded, once."""
        binding = self._session.io_binding()
        binding.bind_cpu_input("frame", np.ascontiguousarray(frame))
        views = np.arange(self._geometry.count(*frame.shape[:2]))
        for start in range(0, len(views), self._micro_batch):
            binding.bind_cpu_input("views", views[start : start + self._micro_batch])
            binding.bind_output("features")
            self._session.run_with_iobinding(binding)
            yield binding.copy_outputs_to_cpu()[0]


def import_onnxruntime() -> ModuleType:
    """The module onnxruntime; EngineError if it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            f"onnxruntime cannot be imported ({error}); "
            "install it with: pip install 'maclip-edge[cpu]'"
        ) from None
    return onnxruntime


def find_gpu_engines() -> list[str]:
    """The GPU engines whose provider this ONNX Runtime has, the fastest first."""
    try:
        available = set(import_onnxruntime().get_available_providers())
    except EngineError:
        return []
    order = ("onnxruntime-tensorrt", "onnxruntime-tensorrt-rtx", "onnxruntime-cuda")
    return [name for name in order if PROVIDERS[name] in available]


def choose_graph(bundle: Bundle, precision: Precision | None, *, on_gpu: bool) -> BundleFile:
    """The graph to run: on a GPU the frame graph for any size before the encoder, and half first."""
    precisions: tuple[Precision, ...] = ("fp32",)
    if precision is not None:
        precisions = (precision,)
    elif on_gpu:
        precisions = ("fp16", "fp32")
    for wanted in precisions:
        graphs = [file for file in bundle.manifest.files if file.precision == wanted]
        if on_gpu:
            for file in graphs:
                if file.kind == "frame" and "views" in file.inputs:
                    return file
        for file in graphs:
            if file.kind == "image_encoder":
                return file
    raise BundleError(
        f"{bundle.path}: has no image encoder in {' or '.join(precisions)}; "
        f"export the bundle with --precision fp32,{precisions[0]}"
    )


def _open_session(
    onnxruntime: ModuleType, bundle: Bundle, graph: BundleFile, provider: str, threads: int | None
) -> Any:
    if provider not in onnxruntime.get_available_providers():
        raise EngineError(
            f"onnxruntime {onnxruntime.__version__} has no {provider}; install one that has "
            "(pip install 'maclip-edge[gpu]'), or use --engine onnxruntime-cpu"
        )
    path = bundle.locate(graph)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only; they reach the caller as exceptions
    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}")
        options.intra_op_num_threads = threads
    if provider != "CPUExecutionProvider":
        # Otherwise ONNX Runtime would put on the CPU what the provider does not take, and say nothing.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # noqa: BLE001  its exceptions have no other common base
        reason = str(error).splitlines()[0]
        raise EngineError(f"{path}: ONNX Runtime cannot run it with {provider}: {reason}") from None
    if session.get_providers()[0] != provider:
        raise EngineError(
            f"{provider} was asked for, but ONNX Runtime runs {session.get_providers()[0]}: "
            "the provider's libraries do not load; see maclip doctor"
        )
    logger.info("%s in %s", graph.path, provider)
    return session
