"""Plans: engines of TensorRT or TensorRT-RTX, built from a bundle's graph through one piece of code.

Only calls that TensorRT's Python API has from 10.3 to 11.4, and TensorRT-RTX too, are used; where the
two differ, the difference stands here. Networks are strongly typed: the precision is in the graph.
TensorRT builds for the GPU it runs on; TensorRT-RTX compiles on the CPU, for the compute capabilities
named, or portably for 8.0 and later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import BundleFile, PlanOrigin, Profile, Shape
from maclip_runtime.bundle.staging import add_file, check_writable
from maclip_runtime.engines.chunks import MOST_IN_BLOCK, takes_blocks
from maclip_runtime.engines.driver import Gpu, find_driver
from maclip_runtime.engines.tensorrt_library import import_library, list_capabilities, make_logger
from maclip_runtime.errors import EngineError, Remedy, UsageError
from maclip_runtime.files import write_whole
from maclip_runtime.pixel_formats import shape_frame
from maclip_runtime.signals import Held, hold_signals
from maclip_runtime.vocabulary import PlanLibrary, Precision

Progress = Callable[[str, int, int], None]  # phase, steps done, steps in all


@dataclass(frozen=True)
class PlanOptions:
    """How to build: shapes to serve, scratch memory in bytes, and what only one of the libraries takes.

    compute_capabilities ("86" is 8.6): TensorRT-RTX only; none means portable. version_compatible,
    timing_cache (a file, made or updated): full TensorRT only. device: number of the GPU that full TensorRT
    builds on and for.
    """

    profile: Profile
    workspace: int | None = None
    compute_capabilities: Sequence[str] = ()
    version_compatible: bool = False
    timing_cache: Path | None = None
    device: int = 0


def make_profile(
    graph: BundleFile,
    frames: tuple[Shape, Shape, Shape],
    views: tuple[int, int],
    view_size: int = 224,
) -> Profile:
    """Shapes for a graph's dynamic inputs, from frame sizes (H, W) and numbers of views a run.

    frames: smallest, best and largest. views: best and largest; one must always do, since small frames
    have few. A dense graph's chunks are of blocks, which says how many views there are at most. Raises
    UsageError for sizes that frames of the graph's format cannot have.
    """
    if takes_blocks(graph):
        views = (MOST_IN_BLOCK, MOST_IN_BLOCK)
    profile: Profile = {}
    for name, tensor in graph.inputs.items():
        if all(isinstance(length, int) for length in tensor.shape):
            continue
        if name == "frame":
            smallest, best, largest = (
                shape_frame(height, width, graph.pixel_format) for height, width in frames
            )
        else:  # `views` [N], `pixels` [N, 3, S, S], `tokens` [N, 77]: the first axis counts
            # A ResNet takes larger pictures too; a plan of its encoder is for views.
            rest = tuple(n if isinstance(n, int) else view_size for n in tensor.shape[1:])
            smallest, best, largest = ((count, *rest) for count in (1, *views))
        profile[name] = (smallest, best, largest)
    return profile


def build_plan(
    bundle: Bundle,
    graph: BundleFile,
    library: PlanLibrary,
    options: PlanOptions,
    progress: Progress = lambda phase, done, steps: None,
) -> BundleFile:
    """Build a plan of one of the bundle's graphs and put it into the bundle; returns its entry.

    Raises UsageError for options the library does not take, EngineError if it is not installed,
    lacks a GPU it needs, or cannot build the graph.
    """
    target = _find_target(library, options)
    trt = import_library(library)
    check_writable(bundle)
    data = bundle.read(graph)
    # An exception that a signal raises in a callback of the library's, as for its log, would be lost.
    with hold_signals() as held:
        plan = _compile(trt, library, data, graph.path, graph.precision, options, progress, held)
    capabilities = tuple(options.compute_capabilities) or (
        (target.compute_capability,) if target else ()
    )
    origin = PlanOrigin(
        library=library,
        version=str(trt.__version__),
        compute_capabilities=capabilities,
        device=target.name if target else "any",
        graph=graph.path,
        graph_sha256=graph.sha256,
        profile=options.profile,
        version_compatible=options.version_compatible,
        multiprocessors=target.multiprocessors if target else None,
        memory=target.memory if target else None,
    )
    chips = "-".join(f"sm{digits}" for digits in capabilities) or "portable"
    if target and target.multiprocessors:  # modules of one name and capability, side by side
        chips += f"x{target.multiprocessors}"
    name = f"{graph.path.removesuffix('.onnx')}.{library}-{trt.__version__}.{chips}.plan"
    # It keeps the graph's role: what it is for does not change by being built.
    entry = replace(graph, path=name, verification=None, float32_nodes={}, plan=origin)
    return add_file(bundle, entry, plan)


def _find_target(library: PlanLibrary, options: PlanOptions) -> Gpu | None:
    """The GPU that a plan is tied to; options that the library does not take are refused here."""
    if library == "tensorrt-rtx":
        if options.version_compatible or options.timing_cache:
            raise UsageError("tensorrt-rtx has neither version-compatible plans nor a timing cache")
        return None
    if options.compute_capabilities:
        raise UsageError(
            "tensorrt builds for this machine's GPU",
            Remedy(
                "{compute_capability} is for tensorrt-rtx", settings={"compute_capability": None}
            ),
        )
    driver = find_driver()
    if driver is None:
        raise EngineError(
            "tensorrt builds plans on the GPU they run on, and this machine has no NVIDIA driver or GPU",
            Remedy(
                "build there, or use {engine}, which builds without one",
                settings={"engine": "tensorrt-rtx"},
            ),
        )
    if not 0 <= options.device < len(driver.gpus):
        last = len(driver.gpus) - 1
        raise UsageError(f"device {options.device}: this machine has GPUs 0 to {last}")
    return driver.gpus[options.device]


def _compile(
    trt: ModuleType,
    library: PlanLibrary,
    graph: bytes,
    name: str,
    precision: Precision | None,
    options: PlanOptions,
    progress: Progress,
    held: Held,
) -> bytes:
    logger = make_logger(trt)
    builder = trt.Builder(logger)
    flag = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flag)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        reason = " ".join(" ".join(errors).split())
        raise EngineError(f"{name}: {library} cannot read this graph: {reason}")
    config = builder.create_builder_config()
    if precision == "fp32":  # TF32, on by default, keeps ten bits of a product's factors
        config.clear_flag(trt.BuilderFlag.TF32)
    _add_profile(builder, network, config, options.profile, name)
    if options.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    if library == "tensorrt-rtx":
        _configure_rtx(trt, config, options.compute_capabilities)
    else:
        _configure_tensorrt(trt, config, options)
    monitor = _make_monitor(trt, progress, held)
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if monitor.error is not None:
        raise monitor.error
    if plan is None and held.number is not None:
        raise EngineError(f"{name}: the building was ended by a signal")
    if plan is None:
        larger = Remedy("try a larger {workspace}", settings={"workspace": None})
        raise EngineError(
            f"{name}: {library} built no plan: {logger.reason}",
            larger if options.workspace is not None else "",
        )
    if options.timing_cache is not None:
        write_whole(options.timing_cache, bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def _configure_rtx(trt: ModuleType, config: Any, compute_capabilities: Sequence[str]) -> None:
    # A CUDA graph may only be captured from an engine that takes all its memory from its caller.
    config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    served = list_capabilities(trt)
    for index, digits in enumerate(compute_capabilities):
        if digits not in served:
            raise UsageError(
                f"compute capability {digits}: this tensorrt-rtx builds for {', '.join(served)}",
                "name none for a plan that is portable from 8.0 on",
            )
        config.num_compute_capabilities = len(compute_capabilities)
        config.set_compute_capability(trt.ComputeCapability.__members__[f"SM{digits}"], index)


def _configure_tensorrt(trt: ModuleType, config: Any, options: PlanOptions) -> None:
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.timing_cache is not None:
        known = options.timing_cache.read_bytes() if options.timing_cache.exists() else b""
        config.set_timing_cache(config.create_timing_cache(known), False)


def _add_profile(builder: Any, network: Any, config: Any, wanted: Profile, name: str) -> None:
    """One optimization profile for the network's dynamic inputs."""
    profile = builder.create_optimization_profile()
    dynamic = False
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if -1 in tuple(tensor.shape):
            dynamic = True
            profile.set_shape(tensor.name, *wanted[tensor.name])
    if dynamic and config.add_optimization_profile(profile) < 0:
        raise UsageError(
            f"{name}: shapes {dict(wanted)} are not in order; smallest <= best <= largest"
        )


def _make_monitor(trt: ModuleType, progress: Progress, held: Held) -> Any:
    """The builder's progress, which ends the building where a signal is held.

    An exception must not leave a callback: it is kept in `.error`.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.steps: dict[str, int] = {}
            self.error: BaseException | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                progress(phase_name, step + 1, self.steps.get(phase_name, step + 1))
            except BaseException as error:  # noqa: BLE001  also KeyboardInterrupt
                self.error = error
            return self.error is None and held.number is None

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()
