"""Who takes part in `compare`, and how one of them is measured, in a process of its own.

The yardstick is the published method in PyTorch, prompts embedded once, which is faster than the published
code. It is there in several rows: with all of a picture's views in one batch, the straight reading of the
method (unfold, then encode all views); with four views a batch, whose activations stay in the cache; and
tuned by what PyTorch offers itself, four views a batch too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.speed.baseline import Tuning, open_baseline
from maclip_export.quality.frames import limit_side
from maclip_runtime import MaclipError, Scorer
from maclip_runtime.bundle.bundle import Bundle, open_bundle
from maclip_runtime.method.pixels import Frame
from maclip_runtime.sources.pictures import read_frame
from maclip_runtime.timing.memory import measure_peak_memory
from maclip_runtime.vocabulary import Precision, ViewMode


@dataclass(frozen=True)
class Contender:
    """PyTorch with `batch` views a forward pass, or the bundle in a precision and view mode.

    batch: None for a contender that is the bundle; 0 is all of a picture's views. tuning: of PyTorch, None
    for eager as it is.
    """

    name: str
    batch: int | None = None
    precision: Precision = "fp32"
    views: ViewMode = "exact"
    tuning: Tuning | None = None

    @property
    def is_pytorch(self) -> bool:
        """Whether it is one of the yardsticks."""
        return self.batch is not None


EAGER = Contender("eager PyTorch, all views in one batch", batch=0)
EAGER_BATCHED = Contender("eager PyTorch, 4 views a batch", batch=4)
TUNED = tuple(
    Contender(f"PyTorch, {tuning}", batch=4, tuning=tuning)
    for tuning in (
        Tuning(channels_last=True),
        Tuning(channels_last=True, compiled=True),
        Tuning(channels_last=True, dtype="bfloat16"),
        Tuning(channels_last=True, compiled=True, dtype="bfloat16"),
    )
)


@dataclass(frozen=True)
class Task:
    """What every contender is given: the same pictures, scaled down to at most `megapixels`."""

    bundle: Path
    checkpoint: Path
    pictures: tuple[Path, ...]
    megapixels: float
    threads: int


@dataclass(frozen=True)
class Run:
    """One contender in one round: seconds and CPU seconds of all pictures, peak memory, the scores.

    `fault` says why there are none, in one line.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    scores: tuple[float, ...] = ()
    fault: str | None = None


def list_contenders(bundle: Bundle, *, compiled: bool = True) -> list[Contender]:
    """PyTorch's rows, then the bundle's encoder graphs: exact before dense views, float32 first.

    compiled: with the rows of torch.compile.
    """
    graphs = {
        file.precision: file for file in bundle.manifest.files if file.role == "image_encoder"
    }
    order: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    present = [precision for precision in order if precision in graphs]
    exact = [_enter(precision, "exact") for precision in present]
    # A graph that takes pictures of any width is a ResNet's, and has dense views.
    dense = [
        _enter(precision, "dense")
        for precision in present
        if isinstance(graphs[precision].inputs["pixels"].shape[-1], str)
    ]
    tuned = [each for each in TUNED if compiled or not (each.tuning and each.tuning.compiled)]
    return [EAGER, EAGER_BATCHED, *tuned, *exact, *dense]


def _enter(precision: Precision, views: ViewMode) -> Contender:
    return Contender(f"{precision}, {views} views", None, precision, views)


def run_contender(contender: Contender, task: Task) -> Run:
    """Open a contender and score every picture twice; the second time counts.

    Pictures are decoded before, so a time is from a frame in memory to its score. Meant to be called in
    a new process, whose memory and CPU time are then the contender's.
    """
    try:
        score = open_contender(contender, task)
        frames = [load_frame(path, task.megapixels) for path in task.pictures]
        for frame in frames:
            score(frame)
        cpu, start = time.process_time(), time.perf_counter()
        scores = tuple(score(frame) for frame in frames)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    except MaclipError as error:
        return Run(fault=str(error))
    except RuntimeError as error:  # of PyTorch's compiler, which needs a C++ compiler
        first = next(iter(str(error).splitlines()), "")
        return Run(fault=f"{type(error).__name__}: {first}")
    return Run(seconds, cpu, measure_peak_memory(), scores)


def open_contender(contender: Contender, task: Task) -> Callable[[Frame], float]:
    """What scores a frame for that contender; only who needs torch imports it."""
    if contender.batch is None:
        scorer = Scorer(
            task.bundle,
            engine="onnxruntime-cpu",
            precision=contender.precision,
            views=contender.views,
            threads=task.threads,
        )
        return lambda frame: scorer.score(frame).score
    views_per_run = contender.batch or sys.maxsize
    method = open_baseline(
        open_bundle(task.bundle),
        task.checkpoint,
        tuning=contender.tuning,
        views_per_run=views_per_run,
    )
    import torch

    torch.set_num_threads(task.threads)
    return lambda frame: method.score(frame).score


def load_frame(path: Path, megapixels: float) -> Frame:
    """A picture as a frame of at most that many megapixels, aspect kept."""
    frame = read_frame(path)
    height, width = frame.shape[:2]
    longest = max(height, width) * (megapixels * 1e6 / (width * height)) ** 0.5
    return np.array(limit_side(frame, longest))  # Pillow's is read-only, which torch warns about


def count_views(bundle: Bundle, frames: Sequence[Frame]) -> int:
    """The views of all frames together, as the method counts them."""
    geometry = bundle.manifest.method.views
    return sum(geometry.count(*frame.shape[:2]) for frame in frames)
