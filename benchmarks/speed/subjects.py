"""What `gpu` measures: the engines of a bundle, and the published method in eager PyTorch.

A `Spec` says what to open and travels to the process that does the measuring; `open_subject` opens it
there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.baseline import Tuning, check_checkpoint, open_baseline
from benchmarks.speed.timing import Subject
from maclip_runtime.bundle.bundle import Bundle, open_bundle
from maclip_runtime.bundle.manifest import BundleFile
from maclip_runtime.engines.engine import Engine, Pending
from maclip_runtime.engines.select import list_candidates, open_candidate, select_engine
from maclip_runtime.errors import EngineError
from maclip_runtime.method.head import score_views
from maclip_runtime.method.pixels import Frame
from maclip_runtime.vocabulary import ENGINES, PLAN_LIBRARIES, EngineName, Precision

PYTORCH = "pytorch"
TUNINGS = (
    Tuning(channels_last=True, dtype="float16"),
    Tuning(channels_last=True, compiled=True, dtype="float16"),
)


@dataclass(frozen=True)
class Spec:
    """One thing to measure: an engine by name, or PYTORCH, at a precision; `plan` is a file of the bundle.

    `takes` is the only frame size (H, W) it can be given, None if any. `tuning`: of PyTorch.
    """

    engine: str
    precision: Precision
    plan: str | None = None
    takes: tuple[int, int] | None = None
    device: str = "cuda"
    tuning: Tuning | None = None

    @property
    def label(self) -> str:
        """Its name in the table."""
        if self.engine == PYTORCH:
            how = "eager PyTorch" if self.tuning is None else f"PyTorch, {self.tuning}"
            return f"published method, {how}{'' if self.device == 'cuda' else ' (CPU)'}"
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
        check_checkpoint(checkpoint, bundle)
        specs += [Spec(PYTORCH, "fp32"), Spec(PYTORCH, "fp16")]
        specs += [Spec(PYTORCH, "fp16", tuning=tuning) for tuning in TUNINGS]
    providers = []
    for engine in ENGINES:
        if engine in PLAN_LIBRARIES:
            for candidate in list_candidates(bundle, engine):
                if candidate.fault is not None or candidate.file is None:
                    notes.append(f"{engine}: {candidate.fault}")
                else:
                    specs.append(_describe_plan(candidate.file, engine))
        elif engine != "onnxruntime-cpu":
            providers += _list_precisions(bundle, engine)
    if not providers:
        notes.append("onnxruntime: no GPU provider; pip install 'maclip-edge[gpu]'")
    specs += providers
    if cpu:
        specs.append(Spec("onnxruntime-cpu", "fp32", device="cpu"))
    return specs, notes


def _describe_plan(file: BundleFile, engine: EngineName) -> Spec:
    height, width = file.inputs["frame"].shape[:2]
    fixed = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    return Spec(engine, file.precision or "fp32", file.path, fixed)


def _list_precisions(bundle: Bundle, engine: EngineName) -> list[Spec]:
    wanted: tuple[Precision, ...] = ("fp16", "fp32")
    return [
        Spec(engine, precision)
        for precision in wanted
        if all(c.fault is None for c in list_candidates(bundle, engine, precision=precision))
    ]


class EngineSubject:
    """An engine with the NumPy head behind it: frame in, score out."""

    def __init__(self, engine: Engine, bundle: Bundle) -> None:
        self._engine = engine
        self._prompts = bundle.load_scored_prompts()
        self._method = bundle.manifest.method
        self._stages: Mapping[str, float] = {}

    def score(self, frame: Frame) -> float:
        """The frame's score."""
        pending = self._engine.submit(frame)
        features = pending.result()
        self._stages = pending.time.stages
        return self._average_score(features)

    def stream(self, frames: Iterable[Frame]) -> Iterator[float]:
        """The frames' scores, the next frame uploading while one computes if the engine can."""
        under_way: Pending | None = None
        for frame in frames:
            submitted = self._engine.submit(frame)
            if under_way is not None:
                yield self._average_score(under_way.result())
            under_way = submitted
        if under_way is not None:
            yield self._average_score(under_way.result())

    def read_device_times(self) -> tuple[float, float] | None:
        """Upload and all of the device's work, milliseconds; ONNX Runtime keeps its stream to itself."""
        if "upload" not in self._stages:
            return None
        return 1e3 * self._stages["upload"], 1e3 * sum(self._stages.values())

    def _average_score(self, features: NDArray[np.float32]) -> float:
        method = self._method
        return score_views(features, self._prompts, method.logit_scale, method.head).mean().score


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
        cues = self._method.evaluate(uploaded)
        self._record(2)
        return float(cues[0])  # waits for the device

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
        chosen: dict[str, Any] = (
            {"precision": spec.precision} if spec.tuning is None else {"tuning": spec.tuning}
        )
        method = open_baseline(bundle, checkpoint, device=spec.device, **chosen)
        yield EagerSubject(method, spec.device)
        return
    engine = _open_engine(spec, bundle)
    try:
        yield EngineSubject(engine, bundle)
    finally:
        engine.close()


def _open_engine(spec: Spec, bundle: Bundle) -> Engine:
    choice = next(name for name in ENGINES if name == spec.engine)
    if spec.plan is None:
        return select_engine(bundle, choice, precision=spec.precision).engine
    for candidate in list_candidates(bundle, choice, precision=spec.precision):
        if candidate.file is not None and candidate.file.path == spec.plan:
            return open_candidate(bundle, candidate)
    raise EngineError(f"{bundle.path}: has no plan {spec.plan} any more", "build it again")
