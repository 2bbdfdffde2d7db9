"""Measure where the time of a picture goes, and how near the encoder comes to the machine's arithmetic.

Stages of a picture: decode (file to frame), views (frame to encoder input), encode (encoder input to
features) and head (features to score). Only an engine on the CPU cuts views on the host; where the
graph takes raw frames, or pixels go to a GPU, the views are part of encode.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from maclip_runtime.engines.onnxruntime import BLOCK_SIDE, MICRO_BATCH, import_onnxruntime
from maclip_runtime.errors import PictureError
from maclip_runtime.scorer import Scorer
from maclip_runtime.views import (
    Frame,
    Pixels,
    iterate_blocks,
    iterate_views,
    shape_global_view,
)

Clock = Callable[[], float]
Cut = Callable[[Frame], Iterator[Pixels]]


@dataclass(frozen=True)
class StageTime:
    """Milliseconds per picture of one stage, and the pictures a second it would do by itself.

    p99 of fewer than a hundred samples is little more than the slowest one.
    """

    stage: str
    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    pictures_per_second: float
    samples: int


@dataclass(frozen=True)
class Throughput:
    """What a stream of pictures reaches, decoding ahead while the engine works, per second."""

    pictures: float
    views: float


@dataclass(frozen=True)
class ArithmeticRate:
    """The encoder's multiply-adds a second, and those of the engine's own float32 matrix product."""

    encoder: float
    sgemm: float

    @property
    def share(self) -> float:
        """The encoder's rate over the product's: 1 is about what float32 can reach; INT8 may pass it."""
        return self.encoder / self.sgemm


@dataclass(frozen=True)
class Measurement:
    """What `measure` found. views: of all pictures together. peak_memory_mb: of this process.

    rate is None where the encoder does not run on the CPU, or the bundle does not say what a view costs.
    """

    stages: tuple[StageTime, ...]
    throughput: Throughput
    views: int
    peak_memory_mb: float
    rate: ArithmeticRate | None


class Watch:
    """Collects the seconds of named stages, one entry per picture and pass, in order of appearance."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.clock = clock
        self.seconds: dict[str, list[float]] = {}

    def note(self, stage: str, seconds: float) -> None:
        """Add an entry to a stage."""
        self.seconds.setdefault(stage, []).append(seconds)

    def summarise(self) -> tuple[StageTime, ...]:
        """Every stage, and `score`: a picture's stages one after the other."""
        whole = [sum(parts) for parts in zip(*self.seconds.values(), strict=True)]
        return tuple(summarise(*stage) for stage in (*self.seconds.items(), ("score", whole)))


def measure(
    scorer: Scorer,
    pictures: Sequence[str],
    *,
    repeats: int,
    threads: int | None = None,
    report: Callable[[], None] = lambda: None,
    clock: Clock = time.perf_counter,
) -> Measurement:
    """Score pictures `repeats` times stage by stage, then as often in a stream, after one pass untimed.

    threads: those the scorer was opened with, for the yardstick to have the same. report: called after
    every picture. Raises PictureError for a picture that cannot be scored.
    """
    cut = find_cut(scorer)
    views = pixels = 0
    for picture in pictures:  # untimed: memory is taken, kernels are chosen
        prepared = scorer.prepare(picture)
        views += len(scorer.encode(prepared))
        if cut is not None:
            pixels += sum(portion[:, 0].size for portion in cut(prepared.frame))
        report()
    watch = Watch(clock)
    for _ in range(repeats):
        for picture in pictures:
            time_stages(scorer, picture, cut, watch)
            report()
    start = clock()
    for result in scorer.score_many(list(pictures) * repeats):
        if isinstance(result, PictureError):
            raise result
        report()
    streamed = clock() - start
    peak = measure_peak_memory()  # before the yardstick takes its own
    # What the encoder gets, counted in views: in dense mode blocks, whose overlap is computed once.
    worth = pixels / scorer.bundle.manifest.method.views.size**2
    encoding = max(sum(watch.seconds["encode"]), 1e-9)
    return Measurement(
        stages=watch.summarise(),
        throughput=Throughput(len(pictures) * repeats / streamed, views * repeats / streamed),
        views=views,
        peak_memory_mb=peak,
        rate=_measure_rate(scorer, worth * repeats / encoding, threads)
        if cut is not None
        else None,
    )


def time_stages(scorer: Scorer, picture: str, cut: Cut | None, watch: Watch) -> None:
    """Score a picture once and note its stages.

    An engine cuts views and encodes them in turn. What the cutting takes is measured by doing it once
    more alone, and encode is the engine's time without it.
    """
    clock = watch.clock
    start = clock()
    prepared = scorer.prepare(picture)
    watch.note("decode", clock() - start)
    cutting = 0.0
    if cut is not None:
        start = clock()
        for _ in cut(prepared.frame):
            pass
        cutting = clock() - start
        watch.note("views", cutting)
    start = clock()
    features = scorer.encode(prepared)
    watch.note("encode", max(clock() - start - cutting, 0.0))
    start = clock()
    scorer.judge(features, prepared, picture)
    watch.note("head", clock() - start)


def summarise(stage: str, seconds: Sequence[float]) -> StageTime:
    """Percentiles in milliseconds of a stage's samples in seconds."""
    p50, p90, p99 = np.percentile(seconds, (50, 90, 99)) * 1e3
    mean = float(np.mean(seconds))
    rate = 1 / mean if mean > 0 else float("inf")
    return StageTime(stage, float(p50), float(p90), float(p99), mean * 1e3, rate, len(seconds))


def find_cut(scorer: Scorer) -> Cut | None:
    """How the scorer's engine cuts a frame on the host; None where it does not, or a GPU follows."""
    if scorer.engine.name != "onnxruntime-cpu":
        return None
    geometry = scorer.bundle.manifest.method.views
    if scorer.engine.view_mode == "exact":
        return lambda frame: iterate_views(frame, geometry, MICRO_BATCH)

    def cut_blocks(frame: Frame) -> Iterator[Pixels]:
        yield from (pixels for _, pixels in iterate_blocks(frame, geometry, BLOCK_SIDE))
        yield shape_global_view(frame, geometry)

    return cut_blocks


def measure_peak_memory() -> float:
    """MB of this process at their most.

    From Linux's own account of the program: `ru_maxrss` begins with the size of whoever started it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


# An ONNX graph of one node, c = a @ b (opset 13, IR 8), as the onnx package writes it: the runtime does
# without that package. NumPy's own product is no yardstick, since its BLAS may not know the CPU.
_PRODUCT = (
    b'\x08\x08\x12\x00:[\n\x11\n\x01a\n\x01b\x12\x01c"\x06MatMul\x12\x01m'
    b"Z\x15\n\x01a\x12\x10\n\x0e\x08\x01\x12\n\n\x03\x12\x01m\n\x03\x12\x01k"
    b"Z\x15\n\x01b\x12\x10\n\x0e\x08\x01\x12\n\n\x03\x12\x01k\n\x03\x12\x01n"
    b"b\x15\n\x01c\x12\x10\n\x0e\x08\x01\x12\n\n\x03\x12\x01m\n\x03\x12\x01nB\x04\n\x00\x10\r"
)
_SIDE = 1024  # of its matrices: enough for the full rate, and quick


def measure_sgemm(threads: int | None = None, seconds: float = 0.5) -> float:
    """ONNX Runtime's float32 product of two square matrices, multiply-adds a second: the best in a while.

    threads: by default one per physical core, as engines have it.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(_PRODUCT, options, providers=["CPUExecutionProvider"])
    left, right = np.random.default_rng(0).standard_normal((2, _SIDE, _SIDE), dtype=np.float32)
    best, stop = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < stop:
        start = time.perf_counter()
        session.run(None, {"a": left, "b": right})
        best = min(best, time.perf_counter() - start)
    return _SIDE**3 / best


def _measure_rate(
    scorer: Scorer, views_per_second: float, threads: int | None
) -> ArithmeticRate | None:
    """The arithmetic of an encoder that does the work of so many views a second."""
    files = scorer.bundle.manifest.files
    costs = [file.multiply_adds for file in files if file.kind == "image_encoder"]
    known = [cost for cost in costs if cost is not None]
    return ArithmeticRate(known[0] * views_per_second, measure_sgemm(threads)) if known else None


def draw_frame(height: int, width: int, seed: int = 0) -> Frame:
    """A frame `[H, W, 3]` with structure at every scale, the same for a seed: noise of five octaves."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(5):
        cells = 4 * 4**octave
        size = (min(cells, height), min(cells, width), 3)
        noise = Image.fromarray(rng.integers(0, 256, size, np.uint8))
        total += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC)) * 0.5**octave
    return (total * np.float32(1 / 1.9375)).astype(np.uint8)
