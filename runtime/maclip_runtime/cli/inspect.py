"""`maclip inspect`: what a bundle holds, every checksum verified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from maclip_runtime.bundle.bundle import Bundle, open_bundle, read_manifest
from maclip_runtime.bundle.manifest import BundleFile, Tensor
from maclip_runtime.bundle.signatures import verify_signature
from maclip_runtime.cli.console import tell
from maclip_runtime.cli.options import BundleArgument
from maclip_runtime.errors import BundleError
from maclip_runtime.method.head import Head
from maclip_runtime.results.names import show_name


def inspect(
    bundle: BundleArgument,
    format: Annotated[
        Literal["table", "json"],
        typer.Option(help="table, or the manifest with the checks as JSON."),
    ] = "table",
    verify: Annotated[
        Path | None,
        typer.Option(
            help="A public key (PEM), or a folder of them: refuse unless one signed the bundle.",
            metavar="PUB",
        ),
    ] = None,
) -> None:
    """Show what is in a bundle and verify every checksum.

    Exit status 2 if anything is damaged.
    """
    opened = open_bundle(bundle)
    if verify is not None:
        signer = verify_signature(opened.path, read_manifest(opened.path), verify)
        tell(f"{bundle}: signed with the key {signer}")
    faults = {file.path: _find_fault(opened, file) for file in opened.manifest.files}
    if format == "json":
        report = {**asdict(opened.manifest), "faults": {k: str(v) for k, v in faults.items() if v}}
        typer.echo(json.dumps(report, indent=1))
    else:
        _show(opened, faults)
    for fault in filter(None, faults.values()):
        tell(fault)
    if any(faults.values()):
        raise typer.Exit(2)


def _find_fault(bundle: Bundle, file: BundleFile) -> BundleError | None:
    try:
        bundle.locate(file)
    except BundleError as error:
        return error
    return None


def _show(bundle: Bundle, faults: Mapping[str, BundleError | None]) -> None:
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
        "head": f"alpha {method.head.alpha:g}, {_describe_cues(method.head)}, "
        f"logit scale exp({method.logit_scale:.4f})",
    }
    if weights.demo:
        facts["note"] = "demo encoder: not CLIP, and not the method's published accuracy"
    for name, fact in facts.items():
        console.print(f"{name:>14}  {show_name(fact)}")
    for pair in manifest.prompts:
        aside = "" if pair.scored else " (reported, not scored)"
        texts = show_name(f"{pair.name}: {pair.good} / {pair.bad}")
        console.print(f"{'prompt pair':>14}  {texts}{aside}")
    table = Table()
    for heading in ("file", "role", "precision"):
        table.add_column(heading, no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for heading in ("shapes", "difference", "checksum"):
        table.add_column(heading)
    for file in manifest.files:
        table.add_row(
            show_name(file.path),
            f"{file.role}, a plan" if file.plan else file.role,
            file.precision or "",
            f"{file.size / 1e6:.1f} MB",
            show_name(_describe_shapes(file)),
            show_name(_describe_difference(file)),
            "WRONG" if faults[file.path] else "ok",
        )
    width = None if console.is_terminal else 1000
    Console(markup=False, highlight=False, width=width).print(table)


def _describe_cues(head: Head) -> str:
    """Every cue with its constants."""
    return ", ".join(
        f"{name} ({', '.join(f'{key} {value:g}' for key, value in vars(cue).items())})"
        for name, cue in head.cues.items()
    )


def _describe_shapes(file: BundleFile) -> str:
    def describe(tensors: dict[str, Tensor]) -> str:
        return ", ".join(
            f"{name} {tensor.dtype} [{', '.join(map(str, tensor.shape))}]"
            for name, tensor in tensors.items()
        )

    return f"{describe(file.inputs)} to {describe(file.outputs)}" if file.inputs else ""


def _describe_difference(file: BundleFile) -> str:
    if file.agreement is not None:
        return f"SRCC {file.agreement.srcc:.4f} with float32 on {file.agreement.pictures} pictures"
    if file.verification is None:
        return ""
    return f"{file.verification.difference:.1e} from {file.verification.reference}"
