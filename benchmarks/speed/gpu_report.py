"""The report of `gpu`: a Markdown table that can be pasted, and everything as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import format_table, write_json
from benchmarks.speed.heading import format_heading
from benchmarks.speed.machine import GpuMachine
from benchmarks.speed.sensors import Conditions, Span
from benchmarks.speed.subjects import PYTORCH, Spec
from benchmarks.speed.timing import Percentiles, Sustained, Timing

_HEADER = (
    "engine", "precision", "frames/s", "vs PyTorch", "wall p50", "wall p99", "GPU p50", "GPU p99",
    "upload", "first", "GPU memory", "score",
)  # fmt: skip
_SUSTAINED = (
    "engine", "precision", "frames/s", "p50", "p99", "GPU MHz", "W", "degrees C", "throttled", "peak MB",
)  # fmt: skip
_LEGEND = """\
Times are milliseconds, from a frame in the host's memory to its score on the host; wall: by the host's
clock; GPU: upload, computation and download by CUDA events; upload: the first part of that, its median;
first: the first frame of that size, kernels chosen or compiled. A dash: not measured (ONNX Runtime keeps
its stream to itself; under 100 samples have no p99). Frames/s: a stream of frames; vs PyTorch: over the
frames/s of PyTorch's fastest row of that size, whatever its precision. In brackets: the range over the
repeats (of their medians). GPU memory, in MB: what the engine took in a process of its own, CUDA's own
context left out.
"""
_SUSTAINED_LEGEND = """\
Sustained: a stream of {seconds:g} s after that; p50 and p99: milliseconds from one score to the next. MHz,
W and degrees: lowest, median and highest of the whole measurement; throttled: every reason that the driver
gave; peak MB: the most in use above what was before, CUDA's context included (on a Jetson: of the system).
"""


@dataclass(frozen=True)
class Result:
    """What came of one subject at one frame size (H, W): `timing`, or the `fault` that prevented it.

    score: of the first picture, which should be alike in every row of a size. memory: bytes of the
    device. seconds: to open it. conditions: of the GPU meanwhile.
    """

    spec: Spec
    size: tuple[int, int]
    timing: Timing | None = None
    score: float | None = None
    memory: int | None = None
    seconds: float | None = None
    sustained: Sustained | None = None
    conditions: Conditions | None = None
    fault: str | None = None


def format_report(
    machine: GpuMachine, results: Sequence[Result], settings: dict[str, Any], notes: Sequence[str]
) -> str:
    """The report as Markdown: what it was measured on, a table for each frame size, and the notes."""
    extent = f"{settings['repeats']} repeats of at most {settings['samples']} frames"
    lines = [
        *format_heading(str(machine), settings, extent),
        _LEGEND,
    ]
    for height, width in sorted({result.size for result in results}):
        of_size = [result for result in results if result.size == (height, width)]
        rates = [r.timing.rate.median for r in of_size if r.spec.engine == PYTORCH and r.timing]
        rows = [_format_row(r, max(rates, default=None)) for r in of_size if r.timing]
        lines += [f"### {height} x {width}", "", format_table(_HEADER, rows)]
        sustained = [_format_sustained(r) for r in of_size if r.sustained]
        if sustained:
            legend = _SUSTAINED_LEGEND.format(seconds=settings["sustained_seconds"])
            lines += [legend, format_table(_SUSTAINED, sustained)]
        lines += [
            f"- {r.spec.label}, {r.spec.precision}: {r.fault}" for r in of_size if not r.timing
        ]
    lines += [f"- {note}" for note in notes]
    return "\n".join(lines).rstrip() + "\n"


def write_results(
    path: Path,
    machine: GpuMachine,
    results: Sequence[Result],
    settings: dict[str, Any],
    notes: Sequence[str],
) -> None:
    """Write everything that was measured as JSON."""
    content = {
        "machine": asdict(machine),
        "settings": settings,
        "results": [{**asdict(result), "label": result.spec.label} for result in results],
        "notes": list(notes),
    }
    write_json(path, content)


def _format_row(result: Result, rate_of_pytorch: float | None) -> list[str]:
    timing = result.timing
    assert timing is not None
    rate = timing.rate
    faster = rate.median / rate_of_pytorch if rate_of_pytorch else None
    return [
        result.spec.label,
        result.spec.precision,
        f"{rate.median:.1f} ({rate.lowest:.1f} to {rate.highest:.1f})",
        "-" if faster is None else f"{faster:.2f}",
        _format_median(timing.wall),
        _format_p99(timing.wall),
        _format_median(timing.device),
        _format_p99(timing.device),
        "-" if timing.upload is None else f"{timing.upload.p50:.2f}",
        f"{timing.first:.0f}",
        "-" if result.memory is None else f"{result.memory / 1e6:.0f}",
        "-" if result.score is None else f"{result.score:.5f}",
    ]


def _format_sustained(result: Result) -> list[str]:
    stream, seen = result.sustained, result.conditions
    assert stream is not None
    return [
        result.spec.label,
        result.spec.precision,
        f"{stream.rate:.1f}",
        f"{stream.p50:.2f}",
        "-" if stream.p99 is None else f"{stream.p99:.2f}",
        _format_span(None if seen is None else seen.clock),
        _format_span(None if seen is None else seen.power),
        _format_span(None if seen is None else seen.temperature),
        "-" if seen is None else ", ".join(seen.throttled) or "no",
        "-" if seen is None else f"{seen.memory:.0f}",
    ]


def _format_span(span: Span | None) -> str:
    return "-" if span is None else f"{span.lowest:.0f} / {span.median:.0f} / {span.highest:.0f}"


def _format_median(times: Percentiles | None) -> str:
    if times is None:
        return "-"
    return f"{times.p50:.2f} ({times.lowest:.2f} to {times.highest:.2f})"


def _format_p99(times: Percentiles | None) -> str:
    return "-" if times is None or times.p99 is None else f"{times.p99:.2f}"
