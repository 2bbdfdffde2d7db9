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

from maclip_runtime.bundle.bundle import DEMO_NAME, Bundle, open_bundle
from maclip_runtime.cli.options import DeviceOption, show_option
from maclip_runtime.engines.cudart import open_runtime
from maclip_runtime.engines.driver import find_driver
from maclip_runtime.engines.select import list_candidates
from maclip_runtime.engines.tensorrt_library import MODULES, import_library
from maclip_runtime.errors import EngineError
from maclip_runtime.results.names import show_name
from maclip_runtime.version import __version__
from maclip_runtime.vocabulary import VIEW_MODES, PlanLibrary


class Finding(NamedTuple):
    """One thing looked for: what it serves, whether it is there, and what to do where it is not."""

    name: str
    present: bool
    detail: str


def doctor(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="[BUNDLE]",
            help="Show what of this bundle can run here, in the order in which --engine auto tries it; "
            "default: of the demo bundle.",
        ),
    ] = None,
    device: DeviceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Show what this machine can run and what is missing.

    Exit status 1 if no engine can run.
    """
    findings = [
        Finding("maclip-edge", True, f"{__version__}, Python {platform.python_version()}"),
        Finding("machine", True, f"{platform.machine()}, {os.cpu_count()} cores, {sys.platform}"),
        _find_package("numpy", "the runtime", "maclip-edge"),
        _find_package("pillow", "the runtime", "maclip-edge"),
        _find_onnxruntime(),
        _find_nvidia_driver(),
        _find_tensorrt("tensorrt"),
        _find_tensorrt("tensorrt-rtx"),
        _find_cuda_runtime(device or 0),
        _find_package("tritonclient", "maclip triton", "maclip-edge[triton]"),
        _find_package("nvidia-pytriton", "maclip serve", "maclip-edge[serve]"),
        _find_package("torch", "maclip export", "maclip-edge[export]"),
        _find_package("open_clip_torch", "maclip export", "maclip-edge[export]"),
        _find_package("onnx", "maclip export", "maclip-edge[export]"),
    ]
    findings += _list_engines(open_bundle(bundle or DEMO_NAME), device)
    if as_json:
        typer.echo(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        table = Table("", "found", "detail")
        for finding in findings:
            detail = show_name(finding.detail)
            table.add_row(finding.name, "yes" if finding.present else "no", detail)
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
        f"{gpu.memory / 1e9:.0f} GB, {gpu.multiprocessors} multiprocessors)"
        for gpu in driver.gpus
    )
    return Finding("NVIDIA driver", True, f"CUDA {driver.cuda[0]}.{driver.cuda[1]}: {gpus}")


def _find_cuda_runtime(device: int) -> Finding:
    if find_driver() is None:
        return Finding(
            "CUDA runtime", False, "for the TensorRT engines: needs an NVIDIA driver and GPU"
        )
    try:
        name, _ = open_runtime(device)
    except EngineError as error:
        return Finding(
            "CUDA runtime", False, f"for the TensorRT engines: {error.render(show_option)}"
        )
    return Finding("CUDA runtime", True, f"{name}, for the TensorRT engines")


def _find_tensorrt(library: PlanLibrary) -> Finding:
    if library == "tensorrt" and find_driver() is None:
        # Importing it is safe; using it without a driver is not, so it would be of no use here.
        found = importlib.util.find_spec(MODULES[library]) is not None
        return Finding(library, found, "needs an NVIDIA driver and GPU")
    try:
        return Finding(library, True, str(import_library(library).__version__))
    except EngineError as error:
        return Finding(library, False, error.render(show_option))


def _list_engines(bundle: Bundle, device: int | None) -> list[Finding]:
    """What of a bundle can run here, as `select` has it: every candidate, with the reason why not."""
    findings = []
    for views in VIEW_MODES:
        for candidate in list_candidates(bundle, views=views, device=device):
            file = candidate.file
            if file is None and views != "exact":
                continue  # what an engine lacks altogether was said
            name = f"{candidate.engine}, {views}"
            what = f"{bundle.name}/{file.path}" if file else bundle.name
            fault = candidate.fault
            detail = what if fault is None else f"{what}: {fault.render(show_option)}"
            findings.append(Finding(name, fault is None, detail))
    return findings
