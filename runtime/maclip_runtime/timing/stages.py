"""Where the time of a picture goes, and how near the encoder comes to the machine's arithmetic.

Stages of a picture: decode (file to frame), what the engine says of its own time (views, where the host
cuts them; upload, where there is a device; encode) and head (features to score).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from maclip_runtime.errors import PictureError
from maclip_runtime.scorer import Scorer
from maclip_runtime.timing.memory import measure_peak_memory
from maclip_runtime.timing.yardstick import ArithmeticRate, measure_sgemm

Clock = Callable[[], float]


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
        self.pixels = 0  # that the encoder was given in all

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
    views = 0
    for picture in pictures:  # untimed: memory is taken, kernels are chosen
        views += scorer.score(picture).views
        report()
    watch = Watch(clock)
    for _ in range(repeats):
        for picture in pictures:
            time_stages(scorer, picture, watch)
            report()
    start = clock()
    for result in scorer.score_many(list(pictures) * repeats):
        if isinstance(result, PictureError):
            raise result
        report()
    streamed = clock() - start
    peak = measure_peak_memory()  # before the yardstick takes its own
    return Measurement(
        stages=watch.summarise(),
        throughput=Throughput(len(pictures) * repeats / streamed, views * repeats / streamed),
        views=views,
        peak_memory_mb=peak,
        rate=_measure_rate(scorer, watch, threads),
    )


def time_stages(scorer: Scorer, picture: str, watch: Watch) -> None:
    """Score a picture once and note its stages, the engine's as it gives them."""
    clock = watch.clock
    start = clock()
    prepared = scorer.prepare(picture)
    watch.note("decode", clock() - start)
    pending = scorer.engine.submit(prepared.frame)
    features = pending.result()
    for stage, seconds in pending.time.stages.items():
        watch.note(stage, seconds)
    watch.pixels += pending.time.pixels
    start = clock()
    scorer.conclude(features, prepared, picture)
    watch.note("head", clock() - start)


def summarise(stage: str, seconds: Sequence[float]) -> StageTime:
    """Percentiles in milliseconds of a stage's samples in seconds."""
    p50, p90, p99 = np.percentile(seconds, (50, 90, 99)) * 1e3
    mean = float(np.mean(seconds))
    rate = 1 / mean if mean > 0 else float("inf")
    return StageTime(stage, float(p50), float(p90), float(p99), mean * 1e3, rate, len(seconds))


def _measure_rate(scorer: Scorer, watch: Watch, threads: int | None) -> ArithmeticRate | None:
    """The encoder's arithmetic, from the pixels it was given; None off the CPU, or if no cost is known."""
    costs = [file.multiply_adds for file in scorer.bundle.list_graphs("image_encoder")]
    known = [cost for cost in costs if cost is not None]
    if scorer.engine.name != "onnxruntime-cpu" or not known:
        return None
    # In views: in dense mode neighbours share pixels, which are encoded once.
    views = watch.pixels / scorer.bundle.manifest.method.views.size**2
    encoding = max(sum(watch.seconds["encode"]), 1e-9)
    return ArithmeticRate(known[0] * views / encoding, measure_sgemm(threads))
