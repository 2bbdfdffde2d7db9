"""Timing: repeated runs against clocks, and what is said of them.

A sample is one frame, from the host's memory to its score on the host. `wall` is the host's clock;
`device` is what the GPU needed for upload, computation and download, by CUDA events; `upload` is the
first part of that. A repeat is a run of samples; the repeats' medians show how far a figure can be
trusted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Protocol

import numpy as np

from maclip_runtime.method.pixels import Frame

_MIN_FOR_P99 = 100  # samples; of fewer, the 99th percentile is only the worst one
_MIN_SAMPLES = 3  # a repeat, however slow


class Subject(Protocol):
    """Something that scores frames, with its own account of what the device did."""

    def score(self, frame: Frame) -> float:
        """The frame's score, on the host."""

    def stream(self, frames: Iterable[Frame]) -> Iterator[float]:
        """The frames' scores in turn, in the fastest way there is."""

    def read_device_times(self) -> tuple[float, float] | None:
        """Milliseconds of the last `score`: upload, and all of the device's work; None if unknown."""


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds: the median and 99th percentile of all samples, and the repeats' medians' range.

    p99 is None where there are too few samples for one.
    """

    p50: float
    p99: float | None
    lowest: float
    highest: float


@dataclass(frozen=True)
class Rate:
    """Frames per second of a stream: the median over the repeats, and their range."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Timing:
    """What was measured of one subject at one frame size; `samples` per repeat."""

    first: float  # milliseconds of the very first frame of this size
    wall: Percentiles
    device: Percentiles | None
    upload: Percentiles | None
    rate: Rate
    samples: int
    repeats: int


@dataclass(frozen=True)
class Sustained:
    """A stream of `frames` frames for `seconds`: frames per second, and milliseconds between scores."""

    frames: int
    seconds: float
    rate: float
    p50: float
    p99: float | None


def sustain(
    subject: Subject,
    frames: Sequence[Frame],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Sustained:
    """Stream frames in turn for that long, as a camera does for hours: heat and power caps show then."""
    start = before = clock()
    gaps: list[float] = []

    def take() -> Iterator[Frame]:
        for frame in cycle(frames):
            if clock() - start >= seconds and gaps:
                return
            yield frame

    for _ in subject.stream(take()):
        now = clock()
        gaps.append(1e3 * (now - before))
        before = now
    p99 = float(np.percentile(gaps, 99)) if len(gaps) >= _MIN_FOR_P99 else None
    took = max(before - start, 1e-9)
    return Sustained(len(gaps), took, len(gaps) / took, float(np.median(gaps)), p99)


def measure(
    subject: Subject,
    frames: Sequence[Frame],
    *,
    repeats: int,
    samples: int,
    budget: float,
    warm_up: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time a subject on frames of one size, taken in turn.

    samples: per repeat, fewer if they would take longer than `budget` seconds. warm_up: seconds of frames
    before them, so that kernels are compiled, chosen and captured, and clocks have risen.
    """
    start = clock()
    subject.score(frames[0])
    first = clock() - start
    start = clock()
    subject.score(frames[-1])
    once = max(clock() - start, 1e-6)
    samples = max(_MIN_SAMPLES, min(samples, int(budget / once)))
    start = clock()
    for frame in cycle(frames):
        if clock() - start >= warm_up:
            break
        subject.score(frame)

    wall: list[list[float]] = []
    device: list[list[float]] = []
    upload: list[list[float]] = []
    rates: list[float] = []
    for _ in range(repeats):
        walls, devices, uploads = [], [], []
        for frame in islice(cycle(frames), samples):
            start = clock()
            subject.score(frame)
            walls.append(1e3 * (clock() - start))
            times = subject.read_device_times()
            if times is not None:
                uploads.append(times[0])
                devices.append(times[1])
        wall.append(walls)
        if devices:
            device.append(devices)
            upload.append(uploads)
        rates.append(_measure_rate(subject, frames, samples, clock))
    return Timing(
        first=1e3 * first,
        wall=summarise(wall),
        device=summarise(device) if device else None,
        upload=summarise(upload) if upload else None,
        rate=Rate(float(np.median(rates)), min(rates), max(rates)),
        samples=samples,
        repeats=repeats,
    )


def summarise(repeats: Sequence[Sequence[float]]) -> Percentiles:
    """Percentiles over the samples of all repeats, and the range of the repeats' medians."""
    every = np.concatenate([np.asarray(samples, np.float64) for samples in repeats])
    medians = [float(np.median(samples)) for samples in repeats]
    p99 = float(np.percentile(every, 99)) if len(every) >= _MIN_FOR_P99 else None
    return Percentiles(float(np.median(every)), p99, min(medians), max(medians))


def _measure_rate(
    subject: Subject, frames: Sequence[Frame], samples: int, clock: Callable[[], float]
) -> float:
    start = clock()
    count = sum(1 for _ in subject.stream(islice(cycle(frames), samples)))
    return count / max(clock() - start, 1e-9)
