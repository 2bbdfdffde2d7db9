"""The one place that decides which graph or plan runs, in which engine, on which device.

Candidates come in the order in which "auto" tries them, each with the reason why it cannot run, so that
results, errors and `maclip doctor` tell the same story.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import BundleFile, Role
from maclip_runtime.engines.batches import BatchedTensorRtEngine
from maclip_runtime.engines.compatibility import check_compatibility, rebuild
from maclip_runtime.engines.driver import Driver, find_driver
from maclip_runtime.engines.engine import Engine
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from maclip_runtime.engines.session import check_provider
from maclip_runtime.engines.tensorrt import TensorRtEngine
from maclip_runtime.engines.tensorrt_library import import_library
from maclip_runtime.errors import (
    BundleError,
    EngineError,
    MaclipError,
    Remedy,
    UsageError,
    refuse_unknown,
)
from maclip_runtime.vocabulary import (
    ENGINE_CHOICES,
    ENGINES,
    GRAPH_PIXEL_FORMATS,
    PLAN_LIBRARIES,
    PRECISIONS,
    VIEW_MODES,
    EngineChoice,
    EngineName,
    GraphPixelFormat,
    PlanLibrary,
    Precision,
    ViewMode,
)

logger = logging.getLogger(__name__)

_PLAN_ROLES: tuple[Role, ...] = ("frame_graph", "dense_frame_graph", "image_encoder")
# What "auto" leaves out, though it may run: the reason.
_BY_NAME_ONLY: dict[EngineName, str] = {
    # Its networks are weakly typed, in which a type is a hint to TensorRT (NVIDIA/TensorRT #1196); and it
    # builds for every new range of shapes, where a plan is built once.
    "onnxruntime-tensorrt": "it builds its engines while frames wait, which takes minutes, and may compute "
    "in half what the graph has in float32",
}
_USE_CPU = Remedy("use {engine}", settings={"engine": "onnxruntime-cpu"})


@dataclass(frozen=True)
class Candidate:
    """A file that an engine could run, or (`file` None) an engine that has none to run.

    `fault`: why it cannot run here, None if nothing is known against it.
    """

    engine: EngineName
    file: BundleFile | None
    view_mode: ViewMode
    fault: MaclipError | None = None


@dataclass(frozen=True)
class Selection:
    """The engine that was opened, what it runs, and the candidates before it, each with its fault."""

    engine: Engine
    file: BundleFile
    passed_over: tuple[Candidate, ...]


def select_engine(
    bundle: Bundle,
    choice: EngineChoice = "auto",
    *,
    precision: Precision | None = None,
    views: ViewMode = "exact",
    threads: int | None = None,
    device: int | None = None,
    pixel_format: GraphPixelFormat = "rgb24",
) -> Selection:
    """Open the first candidate that opens.

    choice: an engine by name, which runs or is an error, or "auto": a plan that fits this machine, else a
    GPU provider of ONNX Runtime (but TensorRT's, which is taken by name only), else the CPU. precision: of
    the graph; by default half on a GPU where there is one, else float32. views: "dense" encodes
    neighbouring windows together (ResNets). threads: CPU threads, by default one per physical core. device:
    number of the GPU, by default the first. pixel_format: of the frames it will be given; a graph or plan
    for another format is never taken.
    Raises EngineError (BundleError where the bundle lacks the graph) if nothing can run, with what
    is missing and what to do.
    """
    passed_over: list[Candidate] = []
    for candidate in list_candidates(
        bundle,
        choice,
        precision=precision,
        views=views,
        device=device,
        pixel_format=pixel_format,
    ):
        file = candidate.file
        if candidate.fault is None and file is not None:
            try:
                engine = open_candidate(bundle, candidate, threads=threads, device=device)
            except EngineError as error:
                candidate = replace(candidate, fault=error)
            else:
                for other in passed_over:
                    logger.info("not %s: %s", other.engine, other.fault)
                return Selection(engine, file, tuple(passed_over))
        passed_over.append(candidate)
    # For "auto" the last candidate is the CPU, which every machine has.
    faults = [c.fault for c in passed_over if c.fault is not None]
    told = faults[-1:] if choice == "auto" else faults
    if len(told) == 1:
        raise told[0]
    causes = "; ".join(fault.cause for fault in told)
    raise EngineError(f"{bundle.path}: {causes}", told[0].remedy)


def list_candidates(
    bundle: Bundle,
    choice: EngineChoice = "auto",
    *,
    precision: Precision | None = None,
    views: ViewMode = "exact",
    device: int | None = None,
    pixel_format: GraphPixelFormat = "rgb24",
) -> Iterator[Candidate]:
    """What could run, in order, each with the reason why it cannot; see `select_engine`."""
    refuse_unknown("engine", choice, ENGINE_CHOICES)
    refuse_unknown("view mode", views, VIEW_MODES)
    refuse_unknown("pixel format", pixel_format, GRAPH_PIXEL_FORMATS)
    if precision is not None:
        refuse_unknown("precision", precision, PRECISIONS)
    driver = find_driver()
    for engine in ENGINES if choice == "auto" else (choice,):
        fault = _find_machine_fault(engine, driver, device)
        if fault is None and choice == "auto" and engine in _BY_NAME_ONLY:
            cause = f"{engine} is not taken by itself: {_BY_NAME_ONLY[engine]}"
            wanted = Remedy("ask for it with {engine}", settings={"engine": engine})
            fault = EngineError(cause, wanted)
        if fault is not None:
            yield Candidate(engine, None, views, fault)
        elif engine in PLAN_LIBRARIES:
            assert driver is not None
            yield from _list_plans(
                bundle, engine, precision, views, pixel_format, driver, device or 0
            )
        elif pixel_format == "rgb24":
            yield _choose_graph(bundle, engine, precision, views)
        else:
            yield _choose_graph_for(pixel_format, bundle, engine, precision, views)


def open_candidate(
    bundle: Bundle, candidate: Candidate, *, threads: int | None = None, device: int | None = None
) -> Engine:
    """Open what a candidate names; EngineError where it does not open after all."""
    file = candidate.file
    assert file is not None
    if file.plan is not None:
        if file.role == "image_encoder":
            return BatchedTensorRtEngine(bundle, file, device=device or 0)
        return TensorRtEngine(bundle, file, device=device or 0)
    return OnnxRuntimeEngine(
        bundle,
        file,
        candidate.engine,
        view_mode=candidate.view_mode,
        threads=threads,
        device=device or 0,
    )


def _find_machine_fault(
    engine: EngineName, driver: Driver | None, device: int | None
) -> MaclipError | None:
    """What this machine lacks for an engine, whatever the bundle."""
    if engine == "onnxruntime-cpu":
        if device is not None:
            return UsageError(f"device {device} is a GPU's number, and {engine} runs on the CPU")
        return None
    if engine not in PLAN_LIBRARIES:
        try:
            check_provider(engine)
        except EngineError as error:
            return error
    if driver is None:
        return EngineError("no NVIDIA driver or GPU on this machine", _USE_CPU)
    if device is not None and not 0 <= device < len(driver.gpus):
        return UsageError(f"device {device}: this machine has GPUs 0 to {len(driver.gpus) - 1}")
    return None


def _list_plans(
    bundle: Bundle,
    library: PlanLibrary,
    precision: Precision | None,
    views: ViewMode,
    pixel_format: GraphPixelFormat,
    driver: Driver,
    device: int,
) -> Iterator[Candidate]:
    """The plans: those of frame graphs that work a frame off in chunks first, for they take any size.

    Then those of one size, then those of the encoder, for which the host cuts the views.
    """
    again = rebuild(bundle, library)
    if views == "dense":
        graphs = bundle.list_graphs("dense_frame_graph")
        if not graphs:
            yield Candidate(library, None, views, _refuse_without_dense_graph(bundle))
            return
        half = [graph for graph in graphs if graph.precision == "fp16"]
        again = rebuild(bundle, library, graph=(half or graphs)[0].path)
    if pixel_format != "rgb24":
        graphs = bundle.list_graphs("frame_graph", view_mode=views, pixel_format=pixel_format)
        if not graphs:
            yield Candidate(library, None, views, _refuse_format(bundle, pixel_format, views))
            return
        half = [graph for graph in graphs if graph.precision == "fp16"]
        again = rebuild(bundle, library, graph=(half or graphs)[0].path)
    plans = [
        file
        for file in bundle.manifest.files
        if file.plan is not None
        and file.plan.library == library
        and file.role in _PLAN_ROLES
        and file.view_mode == views
        and file.pixel_format == pixel_format
        and precision in (None, file.precision)
    ]
    if not plans:
        cause = f"no {library} plan of a frame graph for {views} views"
        yield Candidate(library, None, views, EngineError(cause, again))
        return
    try:
        trt = import_library(library)
    except EngineError as error:
        yield Candidate(library, None, views, error)
        return
    for file in sorted(plans, key=_rank_plan):
        assert file.plan is not None
        reason = check_compatibility(file.plan, bundle, trt, driver.gpus[device])
        fault = EngineError(f"{file.path} does not fit: {reason}", again) if reason else None
        yield Candidate(library, file, views, fault)


def _rank_plan(file: BundleFile) -> tuple[bool, bool, bool]:
    return file.role == "image_encoder", not file.chunked, file.precision != "fp16"


def _choose_graph(
    bundle: Bundle, engine: EngineName, precision: Precision | None, views: ViewMode
) -> Candidate:
    """The graph that ONNX Runtime runs: on a GPU the chunked frame graph before the encoder."""
    on_gpu = engine != "onnxruntime-cpu"
    default: tuple[Precision, ...] = ("fp16", "fp32") if on_gpu else ("fp32",)
    precisions = default if precision is None else (precision,)
    for wanted in precisions:
        encoders = bundle.list_graphs("image_encoder", precision=wanted)
        role: Role = "dense_frame_graph" if views == "dense" else "frame_graph"
        frame_graphs = bundle.list_graphs(role, precision=wanted)
        for file in [*(f for f in frame_graphs if on_gpu and f.chunked), *encoders]:
            blocks = views == "dense" and file.role == "image_encoder"
            fault = _refuse_dense(bundle) if blocks and not file.takes_any_size else None
            return Candidate(engine, file, views, fault)
    missing = BundleError(
        f"{bundle.path}: has no image encoder in {' or '.join(precisions)}",
        Remedy(
            "export the bundle with {precision}",
            settings={"precision": ",".join(dict.fromkeys(("fp32", precisions[0])))},
        ),
    )
    return Candidate(engine, None, views, missing)


def _choose_graph_for(
    pixel_format: GraphPixelFormat,
    bundle: Bundle,
    engine: EngineName,
    precision: Precision | None,
    views: ViewMode,
) -> Candidate:
    """The frame graph that ONNX Runtime runs on frames that are not RGB: chunked ones first.

    Only frame graphs: for an encoder the host would have to convert, which is what such graphs save.
    """
    graphs = bundle.list_graphs(
        "frame_graph", precision=precision, view_mode=views, pixel_format=pixel_format
    )
    first: Precision = "fp32" if engine == "onnxruntime-cpu" else "fp16"
    for file in sorted(graphs, key=lambda file: (file.precision != first, not file.chunked)):
        return Candidate(engine, file, views)
    return Candidate(engine, None, views, _refuse_format(bundle, pixel_format, views))


def _refuse_format(bundle: Bundle, pixel_format: GraphPixelFormat, views: ViewMode) -> BundleError:
    if views == "dense":
        return BundleError(
            f"{bundle.path}: has no dense frame graph for {pixel_format} frames",
            Remedy("use {views}", settings={"views": "exact"}),
        )
    return BundleError(
        f"{bundle.path}: has no frame graph for {pixel_format} frames",
        Remedy("export the bundle with {pixel_format}", settings={"pixel_format": pixel_format}),
    )


def _refuse_without_dense_graph(bundle: Bundle) -> BundleError:
    return BundleError(
        f"{bundle.path}: has no dense frame graph",
        Remedy("export the bundle with {dense}", settings={"dense": "any"}),
    )


def _refuse_dense(bundle: Bundle) -> EngineError:
    tower = bundle.manifest.architecture.image.split()[0]
    return EngineError(
        f"{bundle.path}: dense views need a ResNet, whose trunk is convolutional, and this is a {tower}",
        Remedy("use {views}", settings={"views": "exact"}),
    )
