"""`maclip doctor`: what this machine can run, and what is missing."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from maclip_runtime.bundle import Bundle, open_bundle
from maclip_runtime.engines import find_plans
from maclip_runtime.engines.driver import find_driver
from maclip_runtime.engines.tensorrt_library import MODULES, import_library
from maclip_runtime.errors import EngineError
from maclip_runtime.manifest import EngineLibrary
from maclip_runtime.version import __version__


class Finding(NamedTuple):
    """One thing looked for: what it serves, whether it is there, and what to do where it is not."""

    name: str
    present: bool
    detail: str


def doctor(
    bundle: Annotated[
        str | None,
        typer.Argument(metavar="[BUNDLE]", help="Also show which of its plans fit this machine."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Show what this machine can run and what is missing. Exit status 1 if no engine can run."""
    findings = [
        Finding("maclip-edge", True, f"{__version__}, Python {platform.python_version()}"),
        Finding("machine", True, f"{platform.machine()}, {os.cpu_count()} cores, {sys.platform}"),
        _find_package("numpy", "the runtime", "maclip-edge"),
        _find_package("pillow", "the runtime", "maclip-edge"),
        _find_onnxruntime(),
        _find_nvidia_driver(),
        _find_tensorrt("tensorrt"),
        _find_tensorrt("tensorrt-rtx"),
        _find_package("cuda-bindings", "the TensorRT engines", "maclip-edge[tensorrt-rtx]"),
        _find_package("torch", "maclip export", "maclip-edge[export]"),
        _find_package("open_clip_torch", "maclip export", "maclip-edge[export]"),
        _find_package("onnx", "maclip export", "maclip-edge[export]"),
    ]
    if bundle is not None:
        findings += _find_plans(open_bundle(bundle))
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


def _find_nvidia_driver() -> Finding:
    driver = find_driver()
    if driver is None:
        return Finding("NVIDIA driver", False, "no driver (libcuda.so.1), or no GPU")
    gpus = ", ".join(
        f"{gpu.name} ({gpu.compute_capability[:-1]}.{gpu.compute_capability[-1]}, "
        f"{gpu.memory / 1e9:.0f} GB)"
        for gpu in driver.gpus
    )
    return Finding("NVIDIA driver", True, f"CUDA {driver.cuda[0]}.{driver.cuda[1]}: {gpus}")


def _find_tensorrt(library: EngineLibrary) -> Finding:
    if library == "tensorrt" and find_driver() is None:
        # Importing it is safe; using it without a driver is not, so it would be of no use here.
        found = importlib.util.find_spec(MODULES[library]) is not None
        return Finding(library, found, "needs an NVIDIA driver and GPU")
    try:
        return Finding(library, True, str(import_library(library).__version__))
    except EngineError as error:
        return Finding(library, False, str(error))


def _find_plans(bundle: Bundle) -> list[Finding]:
    """Which of a bundle's plans fit this machine, and why the others do not."""
    findings = []
    for library in MODULES:
        if not any(f.plan and f.plan.library == library for f in bundle.manifest.files):
            continue
        try:
            fitting, faults = find_plans(bundle, library)
        except EngineError as error:
            fitting, faults = [], [str(error)]
        findings += [Finding(f"{bundle.name} plan", True, plan.path) for plan in fitting]
        findings += [Finding(f"{bundle.name} plan", False, fault) for fault in faults]
    return findings
