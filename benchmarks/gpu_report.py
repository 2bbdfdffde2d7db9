"""The report of benchmarks/gpu.py: a Markdown table that can be pasted, and everything as JSON."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gpu_subjects import PYTORCH, Spec
from gpu_timing import Percentiles, Timing
from maclip_runtime.engines.driver import Driver
from tables import format_table, write_json

_PACKAGES = (
    "maclip-edge", "numpy", "tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt-rtx-cu13",
    "cuda-bindings", "onnxruntime", "onnxruntime-gpu", "torch", "open_clip_torch",
)  # fmt: skip
_HEADER = (
    "engine", "precision", "frames/s", "vs PyTorch", "wall p50", "wall p99", "GPU p50", "GPU p99",
    "upload", "first", "GPU memory", "score",
)  # fmt: skip
_LEGEND = """\
Times are milliseconds, from a frame in the host's memory to its score on the host; wall: by the host's
clock; GPU: upload, computation and download by CUDA events; upload: the first part of that, its median;
first: the first frame of that size, kernels chosen or compiled. A dash: not measured (ONNX Runtime keeps
its stream to itself; under 100 samples have no p99). Frames/s: a stream of frames; vs PyTorch: over the
frames/s of eager PyTorch in the same precision. In brackets: the range over the repeats (of their medians).
GPU memory, in MB: what the engine took in a process of its own, CUDA's own context left out.
"""


@dataclass(frozen=True)
class Result:
    """What came of one subject at one frame size (H, W): `timing`, or the `fault` that prevented it.

    score: of the first picture, which should be alike in every row of a size. memory: bytes of the
    device. seconds: to open it.
    """

    spec: Spec
    size: tuple[int, int]
    timing: Timing | None = None
    score: float | None = None
    memory: int | None = None
    seconds: float | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Machine:
    """What it was measured on and with."""

    card: str
    compute_capability: str
    memory: int
    driver: str
    cuda: str
    host: str
    versions: dict[str, str]


def describe_machine(driver: Driver) -> Machine:
    """The first GPU, the driver, and the versions of the libraries that are installed."""
    gpu = driver.gpus[0]
    return Machine(
        card=gpu.name,
        compute_capability=f"{gpu.compute_capability[:-1]}.{gpu.compute_capability[-1]}",
        memory=gpu.memory,
        driver=_read_driver_version(),
        cuda=f"{driver.cuda[0]}.{driver.cuda[1]}",
        host=f"{platform.machine()}, Python {platform.python_version()}, {platform.platform()}",
        versions=_list_versions(),
    )


def format_report(
    machine: Machine, results: Sequence[Result], settings: dict[str, Any], notes: Sequence[str]
) -> str:
    """The report as Markdown: what it was measured on, a table for each frame size, and the notes."""
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    lines = [
        f"{machine.card} (compute capability {machine.compute_capability}, "
        f"{machine.memory / 1e9:.0f} GB), driver {machine.driver}, CUDA {machine.cuda}; "
        f"{machine.host}; {versions}.",
        f"Bundle {settings['bundle']} ({settings['weights']}); {settings['repeats']} repeats of at "
        f"most {settings['samples']} frames.",
        f"Command: `{settings['command']}`",
        "",
        _LEGEND,
    ]
    for height, width in sorted({result.size for result in results}):
        of_size = [result for result in results if result.size == (height, width)]
        rates = {
            r.spec.precision: r.timing.rate.median
            for r in of_size
            if r.spec.engine == PYTORCH and r.timing
        }
        rows = [_format_row(r, rates.get(r.spec.precision)) for r in of_size if r.timing]
        lines += [f"### {height} x {width}", "", format_table(_HEADER, rows)]
        lines += [
            f"- {r.spec.label}, {r.spec.precision}: {r.fault}" for r in of_size if not r.timing
        ]
    lines += [f"- {note}" for note in notes]
    return "\n".join(lines).rstrip() + "\n"


def write_results(
    path: Path,
    machine: Machine,
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


def _format_median(times: Percentiles | None) -> str:
    if times is None:
        return "-"
    return f"{times.p50:.2f} ({times.lowest:.2f} to {times.highest:.2f})"


def _format_p99(times: Percentiles | None) -> str:
    return "-" if times is None or times.p99 is None else f"{times.p99:.2f}"


def _list_versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _read_driver_version() -> str:
    """The driver's own version, which only its tool tells; a Jetson's is that of its system."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        query = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
        answer = subprocess.run(query, capture_output=True, text=True, timeout=60, check=False)
        if answer.returncode == 0 and answer.stdout.strip():
            return answer.stdout.splitlines()[0].strip()
    release = Path("/etc/nv_tegra_release")
    if release.is_file():
        return release.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
    return "unknown"
