"""`maclip doctor`: what this machine can run, and what is missing."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from maclip_runtime.version import __version__


class Finding(NamedTuple):
    """One thing looked for: what it serves, whether it is there, and what to do where it is not."""

    name: str
    present: bool
    detail: str


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Show what this machine can run and what is missing. Exit status 1 if no engine can run."""
    findings = [
        Finding("maclip-edge", True, f"{__version__}, Python {platform.python_version()}"),
        Finding("machine", True, f"{platform.machine()}, {os.cpu_count()} cores, {sys.platform}"),
        _find_package("numpy", "the runtime", "maclip-edge"),
        _find_package("pillow", "the runtime", "maclip-edge"),
        _find_onnxruntime(),
        find_driver(),
        _find_package("torch", "maclip export", "maclip-edge[export]"),
        _find_package("open_clip_torch", "maclip export", "maclip-edge[export]"),
        _find_package("onnx", "maclip export", "maclip-edge[export]"),
    ]
    if as_json:
        typer.echo(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        table = Table("", "found", "detail")
        for finding in findings:
            table.add_row(finding.name, "yes" if finding.present else "no", finding.detail)
        console = Console(markup=False, highlight=False)
        console.print(table)
    if not any(finding.present for finding in findings if finding.name == "onnxruntime"):
        raise typer.Exit(1)


def _find_package(package: str, use: str, requirement: str) -> Finding:
    try:
        return Finding(package, True, f"{version(package)}, for {use}")
    except PackageNotFoundError:
        return Finding(package, False, f"for {use}: pip install '{requirement}'")


def _find_onnxruntime() -> Finding:
    try:
        import onnxruntime
    except ImportError as error:
        detail = f"for the CPU engine: pip install 'maclip-edge[cpu]' ({error})"
        return Finding("onnxruntime", False, detail)
    providers = ", ".join(
        name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()
    )
    return Finding("onnxruntime", True, f"{onnxruntime.__version__}, providers: {providers}")


def find_driver() -> Finding:
    """The NVIDIA driver, found by loading its library: no CUDA package is needed for that."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Finding(
            "NVIDIA driver", False, "no libcuda.so.1: this machine has no NVIDIA GPU driver"
        )
    number = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(number)) != 0:
        return Finding("NVIDIA driver", False, "libcuda.so.1 is there, but does not answer")
    return Finding(
        "NVIDIA driver", True, f"CUDA {number.value // 1000}.{number.value % 1000 // 10}"
    )
