"""What figures were measured on and with: processor or GPU, driver, and the versions of libraries."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import list_versions
from maclip_runtime.engines.driver import Driver

_CPU_PACKAGES = ("maclip-edge", "numpy", "onnxruntime", "torch", "open_clip_torch")
_GPU_PACKAGES = (
    "maclip-edge", "numpy", "tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt-rtx-cu13",
    "cuda-bindings", "onnxruntime", "onnxruntime-gpu", "torch", "open_clip_torch",
)  # fmt: skip


def describe_host() -> str:
    """Processor, cores, memory and the versions of the libraries."""
    versions = format_versions(list_versions(_CPU_PACKAGES))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_read_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB; "
        f"Python {platform.python_version()}, {versions}"
    )


def _read_processor() -> str:
    """The processor's name as Linux gives it, and its wide integer instructions, which INT8 needs."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.machine()
    fields: dict[str, str] = {}
    for line in info.read_text(encoding="utf-8").split("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    flags = fields.get("flags", "").split()
    known = {
        "avx512_vnni": "AVX-512 VNNI",
        "avx_vnni": "AVX VNNI",
        "avx512f": "AVX-512",
        "avx2": "AVX2",
    }
    best = next((name for flag, name in known.items() if flag in flags), None)
    name = fields.get("model name", platform.machine())
    return f"{name} ({best})" if best else name


@dataclass(frozen=True)
class GpuMachine:
    """What it was measured on and with."""

    card: str
    compute_capability: str
    memory: int
    driver: str
    cuda: str
    host: str
    versions: dict[str, str]

    def __str__(self) -> str:
        return (
            f"{self.card} (compute capability {self.compute_capability}, {self.memory / 1e9:.0f} GB), "
            f"driver {self.driver}, CUDA {self.cuda}; {self.host}; {format_versions(self.versions)}"
        )


def describe_gpu_machine(driver: Driver) -> GpuMachine:
    """The first GPU, the driver, and the versions of the libraries that are installed."""
    gpu = driver.gpus[0]
    return GpuMachine(
        card=gpu.name,
        compute_capability=f"{gpu.compute_capability[:-1]}.{gpu.compute_capability[-1]}",
        memory=gpu.memory,
        driver=_read_driver_version(),
        cuda=f"{driver.cuda[0]}.{driver.cuda[1]}",
        host=f"{platform.machine()}, Python {platform.python_version()}, {platform.platform()}",
        versions=list_versions(_GPU_PACKAGES),
    )


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


def format_versions(versions: Mapping[str, str]) -> str:
    """The versions in one line."""
    return ", ".join(f"{name} {number}" for name, number in versions.items())
