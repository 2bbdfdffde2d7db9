"""Engines: frame in (uint8 `[H, W, 3]`), features out (float32 `[V, D]`).

How an engine cuts the views and in what portions it runs them is its own business. An engine's
library is imported when the engine is opened, never before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle import Bundle
from maclip_runtime.engines.driver import find_driver
from maclip_runtime.engines.onnxruntime import PROVIDERS, OnnxRuntimeEngine, find_gpu_engines
from maclip_runtime.engines.tensorrt_library import MODULES, import_library
from maclip_runtime.errors import EngineError, UsageError
from maclip_runtime.manifest import BundleFile, EngineLibrary, Precision, ViewMode
from maclip_runtime.plans import explain_misfit
from maclip_runtime.views import Frame

ENGINES = ("auto", *MODULES, *PROVIDERS)


class Engine(Protocol):
    """What a scorer asks of an engine; both encode methods may be called from several threads."""

    @property
    def name(self) -> str:
        """The name by which `--engine` asks for it, and results refer to it."""

    @property
    def precision(self) -> Precision:
        """The precision of the graph it runs."""

    @property
    def view_mode(self) -> ViewMode:
        """ "exact", or "dense" where neighbouring windows are encoded together."""

    def encode(self, frame: Frame) -> NDArray[np.float32]:
        """Features `[V, D]`, unnormalised, of the views of a frame of at least S x S pixels."""

    def encode_many(self, frames: Iterable[Frame]) -> Iterator[NDArray[np.float32]]:
        """The features of each frame in turn; the engine may take the next frame early."""

    def close(self) -> None:
        """Give back what the engine holds; it cannot be used afterwards."""


def open_engine(
    bundle: Bundle,
    name: str = "auto",
    *,
    precision: Precision | None = None,
    views: ViewMode = "exact",
    threads: int | None = None,
) -> Engine:
    """Open the engine called `name` on a bundle.

    "auto" takes a plan that fits this machine, else a GPU provider of ONNX Runtime, else the CPU; the
    engine's `name` says which. precision: of the graph, by default the engine's own choice. views:
    "dense" encodes neighbouring windows together (ResNets, in ONNX Runtime). threads: CPU threads, by
    default one per physical core. Raises EngineError where a named engine cannot run,
    with what is missing and what to do.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}; use one of {', '.join(ENGINES)}")
    if views == "dense":
        # No plan serves it; the CPU is where it pays.
        if name in MODULES:
            raise UsageError(f"{name} has no dense views; use --engine onnxruntime-cpu")
        name = "onnxruntime-cpu" if name == "auto" else name
    if name == "auto":
        return _open_best(bundle, precision, threads)
    if name in MODULES:
        library: EngineLibrary = "tensorrt" if name == "tensorrt" else "tensorrt-rtx"
        plans, faults = find_plans(bundle, library, precision)
        if not plans:
            raise EngineError(f"{bundle.path}: {'; '.join(faults)}")
        return _open_plan(bundle, plans[0])
    return OnnxRuntimeEngine(bundle, name, precision=precision, views=views, threads=threads)


def find_plans(
    bundle: Bundle, library: EngineLibrary, precision: Precision | None = None
) -> tuple[list[BundleFile], list[str]]:
    """The plans of frame graphs that fit this machine, and why the others (or none) do not.

    Plans that work a frame off in chunks come first, for they take any size.
    """
    command = _rebuild_command(bundle, library)
    driver = find_driver()
    if driver is None:
        return [], ["no NVIDIA driver or GPU on this machine; use --engine onnxruntime-cpu"]
    candidates = [
        file
        for file in bundle.manifest.files
        if file.plan is not None
        and file.plan.library == library
        and "features" in file.outputs
        and "frame" in file.inputs
        and precision in (None, file.precision)
    ]
    if not candidates:
        return [], [f"no {library} plan of a frame graph; build one: {command}"]
    version = str(import_library(library).__version__)
    fitting, faults = [], []
    for file in candidates:
        assert file.plan is not None
        fault = explain_misfit(file.plan, bundle, version, driver.gpus[0])
        if fault is None:
            fitting.append(file)
        else:
            faults.append(f"{file.path} does not fit: {fault}; rebuild it: {command}")
    fitting.sort(key=lambda file: ("views" not in file.inputs, file.precision != "fp16"))
    return fitting, faults


def _open_best(bundle: Bundle, precision: Precision | None, threads: int | None) -> Engine:
    if find_driver() is not None:
        libraries: tuple[EngineLibrary, ...] = ("tensorrt", "tensorrt-rtx")
        for library in libraries:
            try:
                plans, _ = find_plans(bundle, library, precision)
            except EngineError:  # the library is not installed
                continue
            if plans:
                return _open_plan(bundle, plans[0])
        for name in find_gpu_engines():
            return OnnxRuntimeEngine(bundle, name, precision=precision)
    return OnnxRuntimeEngine(bundle, precision=precision, threads=threads)


def _open_plan(bundle: Bundle, file: BundleFile) -> Engine:
    from maclip_runtime.engines.tensorrt import TensorRtEngine

    assert file.plan is not None
    library = file.plan.library
    return TensorRtEngine(
        bundle.locate(file).read_bytes(),
        library,
        bundle.manifest.method.views,
        precision=file.precision or "fp32",
        rebuild=_rebuild_command(bundle, library),
    )


def _rebuild_command(bundle: Bundle, library: EngineLibrary) -> str:
    return f"maclip build {bundle.path} --engine {library}"
