"""Opening a graph in ONNX Runtime: the provider asked for, the bytes verified."""

from __future__ import annotations

import io
import logging
import platform
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.external_data import refuse_external_data
from maclip_runtime.bundle.manifest import BundleFile, Tensor
from maclip_runtime.errors import EngineError, Remedy, UsageError
from maclip_runtime.vocabulary import EngineName

logger = logging.getLogger(__name__)

# ONNX Runtime's name of the provider behind each engine name.
PROVIDERS: dict[EngineName, str] = {
    "onnxruntime-tensorrt": "TensorrtExecutionProvider",
    "onnxruntime-tensorrt-rtx": "NvTensorRTRTXExecutionProvider",
    "onnxruntime-cuda": "CUDAExecutionProvider",
    "onnxruntime-cpu": "CPUExecutionProvider",
}
_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int64)": "int64"}


def import_onnxruntime() -> ModuleType:
    """The module onnxruntime; EngineError if it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            f"onnxruntime cannot be imported ({error})",
            "install it with: pip install 'maclip-edge[cpu]'",
        ) from None
    return onnxruntime


def check_provider(name: EngineName) -> None:
    """Raise EngineError unless this ONNX Runtime was compiled with the provider behind an engine."""
    onnxruntime = import_onnxruntime()
    if PROVIDERS[name] not in onnxruntime.get_available_providers():
        raise EngineError(
            f"onnxruntime {onnxruntime.__version__} has no {PROVIDERS[name]}",
            Remedy(
                "install one that has (pip install 'maclip-edge[gpu]'), or use {engine}",
                settings={"engine": "onnxruntime-cpu"},
            ),
        )


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


def describe_tensors(tensors: Any) -> dict[str, Tensor]:
    """A session's inputs or outputs as the manifest writes them."""
    return {
        tensor.name: Tensor(
            _DTYPES.get(tensor.type, tensor.type),
            tuple("?" if length is None else length for length in tensor.shape),
        )
        for tensor in tensors
    }


@cache
def _load_cuda_libraries() -> None:
    """Load CUDA and cuDNN from NVIDIA's packages on PyPI, where ONNX Runtime (1.21) knows how."""
    onnxruntime = import_onnxruntime()
    if hasattr(onnxruntime, "preload_dlls"):
        with redirect_stdout(io.StringIO()) as said:  # it prints what it does not find
            onnxruntime.preload_dlls()
        for line in said.getvalue().splitlines():
            logger.info("onnxruntime: %s", line)


def _list_providers(
    name: EngineName, file: BundleFile, device: int
) -> list[tuple[str, dict[str, str]]]:
    """The provider behind an engine name with its settings, and CUDA's behind TensorRT's."""
    if name == "onnxruntime-cpu":
        return [(PROVIDERS[name], {})]
    settings = {"device_id": str(device)}
    # TF32, CUDA's default, keeps ten bits of a product's factors.
    cuda = (PROVIDERS["onnxruntime-cuda"], {**settings, "use_tf32": "0"})
    if name == "onnxruntime-cuda":
        return [cuda]
    if name == "onnxruntime-tensorrt":  # what it cannot run, the GPU still does
        half = "1" if file.precision == "fp16" else "0"
        return [(PROVIDERS[name], {**settings, "trt_fp16_enable": half}), cuda]
    return [(PROVIDERS[name], settings)]


def open_session(
    bundle: Bundle, file: BundleFile, name: EngineName, threads: int | None, device: int
) -> Any:
    """A session of a bundle's graph in the provider behind an engine name, and in no other.

    Raises BundleError where the file is not what the manifest says, EngineError where it cannot be run.
    """
    check_provider(name)
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(
        "session.load_model_format", "ONNX"
    )  # not guessed from the bytes
    options.log_severity_level = 3  # errors only; they reach the caller as exceptions
    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}")
        options.intra_op_num_threads = threads
    if file.precision == "int8" and overflows_int8():
        options.add_session_config_entry("session.x64quantprecision", "1")
    provider = PROVIDERS[name]
    if name != "onnxruntime-cpu":
        _load_cuda_libraries()
    # What is hashed is what is loaded. The checksum takes as long as half of the loading: the two run side
    # by side, and nothing is run before both are done. A damaged file is called that, whatever ONNX Runtime
    # made of it.
    data = bundle.read_unverified(file)
    with ThreadPoolExecutor(1) as pool:
        verified = pool.submit(bundle.verify, file, data)
        try:
            refuse_external_data(data)  # first: it would be loaded here
            # ONNX Runtime 1.17 knows no enable_fallback: it prints that it falls back.
            with redirect_stdout(io.StringIO()) as said:
                session = onnxruntime.InferenceSession(
                    data, options, providers=_list_providers(name, file, device), enable_fallback=0
                )
            for line in said.getvalue().splitlines():
                logger.info("onnxruntime: %s", line)
        except Exception as error:  # noqa: BLE001  its exceptions have no other common base
            verified.result()
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            message = (
                f"{bundle.path / file.path}: ONNX Runtime cannot run it with {provider}: {reason}"
            )
            raise EngineError(message) from None
        verified.result()
    session._model_bytes = None  # it keeps the bytes, though it has its own copy of the weights
    # ONNX Runtime's own ban on falling back to the CPU is of no use here: it also bans the arithmetic on
    # shapes, which belongs there.
    if session.get_providers()[0] != provider:
        raise EngineError(
            f"{provider} was asked for, but ONNX Runtime runs {session.get_providers()[0]}: "
            "the provider's libraries do not load",
            Remedy("see what is missing", ("doctor",)),
        )
    logger.info("%s in %s", file.path, provider)
    return session
