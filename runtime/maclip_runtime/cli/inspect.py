"""`maclip inspect`: what a bundle holds, every checksum verified."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from maclip_runtime.bundle import Bundle, open_bundle
from maclip_runtime.errors import BundleError
from maclip_runtime.manifest import BundleFile, Tensor


class InspectFormat(str, Enum):
    """The formats of `maclip inspect`."""

    table = "table"
    json = "json"


def inspect(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="The bundle directory, or `demo`.")
    ],
    format: Annotated[
        InspectFormat, typer.Option(help="table, or the manifest with the checks as JSON.")
    ] = InspectFormat.table,
) -> None:
    """Show what is in a bundle and verify every checksum. Exit status 2 if anything is damaged."""
    opened = open_bundle(bundle)
    faults = {file.path: _find_fault(opened, file) for file in opened.manifest.files}
    if format is InspectFormat.json:
        report = {**asdict(opened.manifest), "faults": {k: v for k, v in faults.items() if v}}
        typer.echo(json.dumps(report, indent=1))
    else:
        _show(opened, faults)
    for fault in filter(None, faults.values()):
        typer.echo(f"maclip: {fault}", err=True)
    if any(faults.values()):
        raise typer.Exit(2)


def _find_fault(bundle: Bundle, file: BundleFile) -> str | None:
    try:
        bundle.locate(file)
    except BundleError as error:
        return str(error)
    return None


def _show(bundle: Bundle, faults: dict[str, str | None]) -> None:
    manifest = bundle.manifest
    weights, method = manifest.weights, manifest.method
    console = Console(markup=False, highlight=False, soft_wrap=True)
    facts = {
        "bundle": str(bundle.path),
        "made by": manifest.created_by,
        "weights": f"{weights.name} ({weights.source}), SHA-256 {weights.sha256}",
        "image encoder": f"{manifest.architecture.image}, {manifest.architecture.features} features",
        "text encoder": f"{manifest.architecture.text}, {manifest.architecture.activation}",
        "views": f"{method.views.size} x {method.views.size}, stride {method.views.stride}",
        "head": f"lambda {method.head.boxcox_lambda:g}, alpha {method.head.alpha:g}, bases "
        f"{method.head.similarity_base:g} and {method.head.magnitude_base:g}, "
        f"logit scale exp({method.logit_scale:.4f})",
    }
    if weights.demo:
        facts["note"] = "demo encoder: not CLIP, and not the method's published accuracy"
    for name, fact in facts.items():
        console.print(f"{name:>14}  {fact}")
    for pair in manifest.prompts:
        console.print(f"{'prompt pair':>14}  {pair.name}: {pair.good} / {pair.bad}")
    table = Table()
    for heading in ("file", "kind", "precision"):
        table.add_column(heading, no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for heading in ("shapes", "difference", "checksum"):
        table.add_column(heading)
    for file in manifest.files:
        table.add_row(
            file.path,
            file.kind,
            file.precision or "",
            f"{file.size / 1e6:.1f} MB",
            _describe_shapes(file),
            _describe_difference(file),
            "WRONG" if faults[file.path] else "ok",
        )
    width = None if console.is_terminal else 1000
    Console(markup=False, highlight=False, width=width).print(table)


def _describe_shapes(file: BundleFile) -> str:
    def describe(tensors: dict[str, Tensor]) -> str:
        return ", ".join(
            f"{name} {tensor.dtype} [{', '.join(map(str, tensor.shape))}]"
            for name, tensor in tensors.items()
        )

    return f"{describe(file.inputs)} to {describe(file.outputs)}" if file.inputs else ""


def _describe_difference(file: BundleFile) -> str:
    if file.ranking is not None:
        return f"SRCC {file.ranking.srcc:.4f} with float32 on {file.ranking.pictures} pictures"
    if file.verification is None:
        return ""
    return f"{file.verification.difference:.1e} from {file.verification.reference}"
