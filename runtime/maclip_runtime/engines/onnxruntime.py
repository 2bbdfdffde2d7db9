"""ONNX Runtime, on the CPU and with its GPU providers.

On the CPU views are cut in NumPy and the encoder graph runs on them in micro-batches, or, in dense mode,
on blocks of neighbouring windows. A GPU provider gets the raw frame, uploaded once, if the bundle has a
frame graph for any size.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle import Bundle
from maclip_runtime.errors import BundleError, EngineError, UsageError
from maclip_runtime.manifest import BundleFile, Precision, ViewMode
from maclip_runtime.views import Frame, Pixels, iterate_blocks, iterate_views, shape_global_view

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
# Windows on a block's side in dense mode: 992 x 992 pixels, which RN50 encodes in 650 MB. Blocks of 4 take
# a tenth longer and half of the memory; larger ones gain nothing.
BLOCK_SIDE = 7


class OnnxRuntimeEngine:
    """A graph of a bundle in ONNX Runtime. May be used from several threads.

    name: one of PROVIDERS. precision: of the graph; by default float32 on the CPU, and half on a GPU
    if the bundle has it. views: "dense" encodes neighbouring windows together, which only ResNets can.
    A provider that is asked for and does not load is an EngineError: nothing falls back to another one.
    """

    def __init__(
        self,
        bundle: Bundle,
        name: str = "onnxruntime-cpu",
        *,
        precision: Precision | None = None,
        views: ViewMode = "exact",
        threads: int | None = None,
        micro_batch: int | None = None,
        block_side: int = BLOCK_SIDE,
    ) -> None:
        onnxruntime = import_onnxruntime()
        self.name = name
        self._geometry = bundle.manifest.method.views
        on_gpu = name != "onnxruntime-cpu"
        self._micro_batch = micro_batch or (GPU_MICRO_BATCH if on_gpu else MICRO_BATCH)
        self._block_side = block_side
        self.view_mode: ViewMode = views
        graph = choose_graph(bundle, precision, on_gpu=on_gpu and views == "exact")
        if views == "dense" and not isinstance(graph.inputs["pixels"].shape[-1], str):
            raise EngineError(
                f"{bundle.path}: dense views need a ResNet, whose trunk is convolutional, and this is a "
                f"{bundle.manifest.architecture.image.split()[0]}; use --views exact"
            )
        self.precision: Precision = graph.precision or "fp32"
        self._takes_frames = graph.kind == "frame"
        self._session = _open_session(onnxruntime, bundle, graph, PROVIDERS[name], threads)

    def encode(self, frame: Frame) -> NDArray[np.float32]:
        """Features `[V, D]` of a frame's views; see `Engine.encode`."""
        if self.view_mode == "dense":
            return self._run_blocks(frame)
        portions = self._run_chunks(frame) if self._takes_frames else self._run_batches(frame)
        return np.concatenate(list(portions))

    def encode_many(self, frames: Iterable[Frame]) -> Iterator[NDArray[np.float32]]:
        """Features of each frame in turn."""
        return map(self.encode, frames)

    def close(self) -> None:
        """Nothing to do: a session frees itself."""

    def _run_batches(self, frame: Frame) -> Iterator[NDArray[np.float32]]:
        for pixels in iterate_views(frame, self._geometry, self._micro_batch):
            yield self._run(pixels)

    def _run_blocks(self, frame: Frame) -> NDArray[np.float32]:
        """Features `[V, D]` in the published order, of windows encoded together."""
        whole = self._run(shape_global_view(frame, self._geometry))
        rows, columns = self._geometry.grid(*frame.shape[:2])
        windows = np.empty((rows, columns, whole.shape[1]), np.float32)
        for block, pixels in iterate_blocks(frame, self._geometry, self._block_side):
            part = windows[block.rows, block.columns]
            part[...] = self._run(pixels).reshape(part.shape)
        return np.concatenate([windows.reshape(rows * columns, -1), whole])

    def _run(self, pixels: Pixels) -> NDArray[np.float32]:
        return self._session.run(["features"], {"pixels": pixels})[0]

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


def overflows_int8(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU adds pairs of uint8 x int8 products in 16 bits, where they can saturate.

    x86 without VNNI does. ONNX Runtime's remedy makes the weights unsigned, at more than half of the
    speed, and is not withheld where it is not needed.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        flags = set(cpuinfo.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return True
    return not flags & {"avx512_vnni", "avx_vnni"}


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
    path = bundle.resolve(graph)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only; they reach the caller as exceptions
    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}")
        options.intra_op_num_threads = threads
    if graph.precision == "int8" and overflows_int8():
        options.add_session_config_entry("session.x64quantprecision", "1")
    # ONNX Runtime's own ban on falling back to the CPU is of no use here: it also bans the arithmetic on
    # shapes, which belongs there.
    # TF32, CUDA's default, keeps ten bits of a product's factors.
    settings = {"use_tf32": "0"} if provider == "CUDAExecutionProvider" else {}
    # The checksum takes as long as half of the loading: the two run side by side, and nothing is run
    # before both are done. A damaged file is called that, whatever ONNX Runtime made of it.
    with ThreadPoolExecutor(1) as pool:
        verified = pool.submit(bundle.locate, graph)
        try:
            session = onnxruntime.InferenceSession(path, options, providers=[(provider, settings)])
        except Exception as error:  # noqa: BLE001  its exceptions have no other common base
            verified.result()
            reason = str(error).splitlines()[0]
            message = f"{path}: ONNX Runtime cannot run it with {provider}: {reason}"
            raise EngineError(message) from None
        verified.result()
    if session.get_providers()[0] != provider:
        raise EngineError(
            f"{provider} was asked for, but ONNX Runtime runs {session.get_providers()[0]}: "
            "the provider's libraries do not load; see maclip doctor"
        )
    logger.info("%s in %s", graph.path, provider)
    return session
