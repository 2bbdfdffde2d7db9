"""What benchmarks/gpu.py measures: the engines of a bundle, and the published method in eager PyTorch.

A `Spec` says what to open and travels to the process that does the measuring; `open_subject` opens it
there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_timing import Frame, Subject
from maclip_runtime.bundle.bundle import Bundle, hash_file, open_bundle
from maclip_runtime.bundle.manifest import BundleFile
from maclip_runtime.engines import find_plans, open_engine
from maclip_runtime.engines.cuda import Cuda
from maclip_runtime.engines.engine import Engine
from maclip_runtime.engines.onnxruntime import choose_graph, find_gpu_engines
from maclip_runtime.engines.tensorrt_library import MODULES
from maclip_runtime.errors import BundleError, EngineError, UsageError
from maclip_runtime.method.head import score_views
from maclip_runtime.vocabulary import PlanLibrary, Precision

PYTORCH = "pytorch"


@dataclass(frozen=True)
class Spec:
    """One thing to measure: an engine by name, or PYTORCH, at a precision; `plan` is a file of the bundle.

    `takes` is the only frame size (H, W) it can be given, None if any.
    """

    engine: str
    precision: Precision
    plan: str | None = None
    takes: tuple[int, int] | None = None
    device: str = "cuda"

    @property
    def label(self) -> str:
        """Its name in the table."""
        if self.engine == PYTORCH:
            return f"published method, eager PyTorch{'' if self.device == 'cuda' else ' (CPU)'}"
        return (
            f"{self.engine}, {self.takes[0]} x {self.takes[1]} only" if self.takes else self.engine
        )


def find_specs(
    bundle: Bundle, checkpoint: Path | None, *, cpu: bool
) -> tuple[list[Spec], list[str]]:
    """Everything this machine can measure, the baseline first, and why other engines cannot.

    Raises UsageError if the checkpoint is not the one that the bundle was made from.
    """
    specs: list[Spec] = []
    notes: list[str] = []
    if checkpoint is None:
        notes.append("no baseline: give --checkpoint to measure the published method in PyTorch")
    else:
        check_weights(bundle, checkpoint)
        specs += [Spec(PYTORCH, "fp32"), Spec(PYTORCH, "fp16")]
    for library in MODULES:
        try:
            plans, faults = find_plans(bundle, library)
        except EngineError as error:
            plans, faults = [], [str(error)]
        specs += [_describe_plan(file, library) for file in plans]
        notes += [f"{library}: {fault}" for fault in faults]
    engines = find_gpu_engines()
    if not engines:
        notes.append("onnxruntime: no GPU provider; pip install 'maclip-edge[gpu]'")
    for name in engines:
        specs += [Spec(name, precision) for precision in _list_precisions(bundle)]
    if cpu:
        specs.append(Spec("onnxruntime-cpu", "fp32", device="cpu"))
    return specs, notes


def check_weights(bundle: Bundle, checkpoint: Path) -> None:
    """Raise UsageError unless the bundle was made from this checkpoint."""
    if not checkpoint.is_file():
        raise UsageError(f"{checkpoint}: no such file")
    if hash_file(checkpoint) != bundle.manifest.weights.sha256:
        raise UsageError(
            f"{checkpoint}: not what {bundle.path} was made from "
            f"({bundle.manifest.weights.source}); give that checkpoint, or export it again"
        )


def _describe_plan(file: BundleFile, library: PlanLibrary) -> Spec:
    height, width = file.inputs["frame"].shape[:2]
    fixed = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    return Spec(library, file.precision or "fp32", file.path, fixed)


def _list_precisions(bundle: Bundle) -> list[Precision]:
    found: list[Precision] = []
    wanted: tuple[Precision, ...] = ("fp16", "fp32")
    for precision in wanted:
        try:
            choose_graph(bundle, precision, on_gpu=True)
        except BundleError:
            continue
        found.append(precision)
    return found


class TimedCuda(Cuda):
    """CUDA for a TensorRtEngine that also notes when a frame's upload began and ended, and its end.

    It goes by the order of the engine's calls: a frame's upload, the event after it, the event after
    the last download.
    """

    def __init__(self, runtime: Any = None) -> None:
        super().__init__(runtime)
        self._start = self.make_event()
        self._passed: list[Any] = []

    def make_event(self, *, timing: bool = True) -> Any:
        """An event that can be asked for times, whoever makes it."""
        return super().make_event(timing=True)

    def upload(self, target: int, source: NDArray[Any], stream: Any) -> None:
        """Copy to the device, and note where on the stream it begins."""
        super().record(self._start, stream)
        self._passed.clear()
        super().upload(target, source, stream)

    def record(self, event: Any, stream: Any) -> None:
        """Record an event, and note it."""
        super().record(event, stream)
        self._passed.append(event)

    def read_times(self) -> tuple[float, float]:
        """Milliseconds from the start of the last frame's upload to its end, and to the frame's end."""
        uploaded, done = self._passed
        return self.measure(self._start, uploaded), self.measure(self._start, done)


class EngineSubject:
    """An engine with the NumPy head behind it: frame in, score out. `cuda`: where it notes its times."""

    def __init__(self, engine: Engine, bundle: Bundle, cuda: TimedCuda | None = None) -> None:
        self._engine, self._cuda = engine, cuda
        self._prompts = bundle.load_prompts()
        self._method = bundle.manifest.method

    def score(self, frame: Frame) -> float:
        """The frame's score."""
        return self._judge(self._engine.encode(frame))

    def stream(self, frames: Iterable[Frame]) -> Iterator[float]:
        """The frames' scores, the next frame uploading while one computes if the engine can."""
        return map(self._judge, self._engine.encode_many(frames))

    def read_device_times(self) -> tuple[float, float] | None:
        """Upload and all of the device's work, milliseconds; ONNX Runtime keeps its stream to itself."""
        return self._cuda.read_times() if self._cuda else None

    def _judge(self, features: NDArray[np.float32]) -> float:
        method = self._method
        cues = score_views(features, self._prompts, method.logit_scale, method.head)
        return float(cues.score.mean())


class EagerSubject:
    """The published method in eager PyTorch, one frame after the other as its code does."""

    def __init__(self, method: Any, device: str) -> None:
        import torch

        self._method = method
        self._events = (
            [torch.cuda.Event(enable_timing=True) for _ in range(3)] if device == "cuda" else None
        )

    def score(self, frame: Frame) -> float:
        """The frame's score."""
        self._record(0)
        uploaded = self._method.upload(frame)
        self._record(1)
        judged = self._method.judge(uploaded)
        self._record(2)
        return float(judged[0])  # waits for the device

    def stream(self, frames: Iterable[Frame]) -> Iterator[float]:
        """The frames' scores, in turn."""
        return map(self.score, frames)

    def read_device_times(self) -> tuple[float, float] | None:
        """Upload and all of the device's work, milliseconds; None on the CPU."""
        if self._events is None:
            return None
        start, uploaded, done = self._events
        done.synchronize()
        return start.elapsed_time(uploaded), start.elapsed_time(done)

    def _record(self, place: int) -> None:
        if self._events is not None:
            self._events[place].record()


@contextmanager
def open_subject(spec: Spec, bundle_path: str, checkpoint: Path | None) -> Iterator[Subject]:
    """Open what a spec names; EngineError, with what to do, where it cannot run."""
    bundle = open_bundle(bundle_path)
    if spec.engine == PYTORCH:
        assert checkpoint is not None
        yield EagerSubject(_open_published(spec, bundle, checkpoint), spec.device)
        return
    cuda = None
    if spec.plan is None:
        engine = open_engine(bundle, spec.engine, precision=spec.precision)
    else:
        cuda = TimedCuda()
        engine = _open_plan(spec, bundle, cuda)
    try:
        yield EngineSubject(engine, bundle, cuda)
    finally:
        engine.close()


def _open_published(spec: Spec, bundle: Bundle, checkpoint: Path) -> Any:
    try:
        from published_method import PublishedMethod
    except ImportError as error:
        raise EngineError(
            f"the baseline needs torch and open_clip ({error}); pip install 'maclip-edge[export]'"
        ) from None
    manifest = bundle.manifest
    return PublishedMethod(
        checkpoint, manifest.prompts, manifest.method, device=spec.device, precision=spec.precision
    )


def _open_plan(spec: Spec, bundle: Bundle, cuda: Cuda) -> Engine:
    """The engine of one plan, with CUDA that takes the time."""
    from maclip_runtime.engines.tensorrt import TensorRtEngine

    (file,) = (file for file in bundle.manifest.files if file.path == spec.plan)
    library: PlanLibrary = "tensorrt" if spec.engine == "tensorrt" else "tensorrt-rtx"
    return TensorRtEngine(
        bundle.locate(file).read_bytes(),
        library,
        bundle.manifest.method.views,
        precision=spec.precision,
        rebuild=f"maclip build {bundle.path} --engine {library}",
        cuda=cuda,
    )
