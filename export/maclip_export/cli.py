"""`maclip export` and `maclip prompts`. Imports torch only when a command runs."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.console import Console
from rich.table import Table

from maclip_runtime.bundle.bundle import Bundle, open_bundle
from maclip_runtime.errors import MaclipError, UsageError
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.vocabulary import Precision

if TYPE_CHECKING:
    from maclip_export.image_graphs import Report

REQUIRED = ("torch", "open_clip", "onnx", "onnxscript", "onnxruntime", "yaml", "scipy")


class ActivationName(str, Enum):
    """The choices of --activation."""

    auto = "auto"
    quick_gelu = "quick-gelu"
    gelu = "gelu"


def export(
    output: Annotated[Path, typer.Option(help="The bundle directory to make.", metavar="DIR")],
    model: Annotated[
        str | None, typer.Option(help="An open_clip model name, such as RN50.", metavar="NAME")
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(help="Its weights: a pretrained tag (openai) or a file.", metavar="TAG|FILE"),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Instead: a file in OpenAI's layout, its sizes read from it."),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="Prompt pairs, YAML or JSON; default: the published ones."),
    ] = None,
    activation: Annotated[
        ActivationName, typer.Option(help="For files whose origin does not tell.")
    ] = ActivationName.auto,
    trust_checkpoint: Annotated[
        bool,
        typer.Option(
            "--trust-checkpoint",
            help="Let torch run the code in a checkpoint that cannot be read without running it.",
        ),
    ] = False,
    text: Annotated[
        bool, typer.Option(help="Include the text graph, which `maclip prompts` needs.")
    ] = True,
    precision: Annotated[
        str, typer.Option(help="Of the graphs: fp32, fp16, int8, or several with commas between.")
    ] = "fp32",
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="For int8: a directory of pictures such as the encoder will see; 22 are used.",
            metavar="DIR",
        ),
    ] = None,
    int8_srcc: Annotated[
        float,
        typer.Option(
            help="Fail if the rank correlation of INT8 scores with float32's is below this, on "
            "degraded pictures that were not calibrated on.",
            metavar="SRCC",
        ),
    ] = 0.99,
    frame: Annotated[
        list[str] | None,
        typer.Option(
            help="Also a graph that takes raw frames, from which plans are built: `any` size, or one "
            "such as 1080x1920 (height x width). May be repeated. Default: any with fp16, else none.",
            metavar="any|HxW|none",
        ),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(
            help="Also a graph from raw frames to scores, for pipelines without Python; as --frame.",
            metavar="any|HxW",
        ),
    ] = None,
    dense: Annotated[
        list[str] | None,
        typer.Option(
            help="Also a graph from raw frames to features in dense mode (ResNets); as --frame.",
            metavar="any|HxW",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bundle.")] = False,
) -> None:
    """Turn a CLIP checkpoint into a bundle: ONNX graphs and prompt embeddings, verified."""
    if (checkpoint is None) == (model is None or pretrained is None):
        raise UsageError("give either --model NAME and --pretrained TAG, or --checkpoint FILE")
    precisions = _parse_precisions(precision)
    frame = frame or (["any"] if "fp16" in precisions else [])
    frames = [_parse_size(text) for text in frame if text != "none"]
    scores = [_parse_size(text) for text in score or ()]
    denses = [_parse_size(text) for text in dense or ()]
    if "int8" in precisions and calibration is None:
        raise UsageError(
            "--precision int8 needs --calibration DIR, pictures such as the encoder will see"
        )
    _require_packages("export")
    from maclip_export.calibration import read_calibration
    from maclip_export.checkpoints import load_file, load_named
    from maclip_export.export import export_bundle
    from maclip_export.image_graphs import GraphPlan
    from maclip_export.prompts import PUBLISHED_PROMPTS, read_prompts
    from maclip_runtime.bundle.staging import check_destination

    check_destination(output, replace=force)
    pairs = read_prompts(prompts) if prompts else PUBLISHED_PROMPTS
    pictures = read_calibration(calibration, ViewGeometry()) if calibration else None
    plan = GraphPlan(precisions, frames, scores, denses, pictures, int8_srcc)
    with _reporting() as report:
        report(f"loading {checkpoint or f'{model} {pretrained}'}")
        if checkpoint is not None:
            loaded = load_file(checkpoint, activation.value, trusted=trust_checkpoint)
        else:
            assert model is not None
            assert pretrained is not None
            loaded = load_named(model, pretrained, activation.value, trusted=trust_checkpoint)
        bundle = export_bundle(
            loaded,
            output,
            pairs,
            plan,
            text_encoder=text,
            replace_existing=force,
            report=report,
        )
    _summarise(bundle)


def prompts(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle directory.")],
    prompts: Annotated[Path, typer.Option(help="Prompt pairs, YAML or JSON.", metavar="FILE")],
) -> None:
    """Replace a bundle's prompts, embedded through its own text graph: no checkpoint is needed."""
    _require_packages("prompts")
    from maclip_export.prompts import read_prompts
    from maclip_export.recache import recache_prompts

    pairs = read_prompts(prompts)
    recache_prompts(open_bundle(bundle), pairs)
    typer.echo(f"{bundle}: {len(pairs)} prompt pairs: {', '.join(pair.name for pair in pairs)}")


def _parse_precisions(text: str) -> list[Precision]:
    known = get_args(Precision)
    chosen = [name.strip() for name in text.split(",")]
    if not set(chosen) <= set(known):
        raise UsageError(
            f"--precision {text}: use {', '.join(known)}, with a comma between several"
        )
    return [name for name in known if name in chosen]


def _parse_size(text: str) -> tuple[int, int] | None:
    """`any` to None, and `HxW` to (H, W)."""
    if text == "any":
        return None
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise UsageError(f"frame size {text!r}: use `any`, or height x width such as 1080x1920")
    height, width = int(match[1]), int(match[2])
    if min(height, width) < ViewGeometry().size:
        raise UsageError(
            f"frame size {text}: a frame has at least {ViewGeometry().size} pixels a side"
        )
    return height, width


def _require_packages(command: str) -> None:
    for package in REQUIRED:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MaclipError(
                f"`maclip {command}` needs {package} ({error}); on a workstation run: "
                "pip install 'maclip-edge[export]'"
            ) from None


@contextmanager
def _reporting() -> Iterator[Report]:
    """A reporter of steps: a spinner on a terminal, a line a step elsewhere; both on stderr."""
    console = Console(stderr=True, highlight=False, markup=False)
    if not console.is_terminal:
        yield lambda step: print(f"{step} ...", file=sys.stderr, flush=True)  # noqa: T201
        return
    with console.status("starting") as status:

        def report(step: str) -> None:
            console.print(step)
            status.update(f"{step} ...")

        yield report


def _summarise(bundle: Bundle) -> None:
    """What was written: files, sizes, differences."""
    table = Table(title=f"{bundle.path}", title_justify="left")
    table.add_column("file", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("from")
    for file in bundle.manifest.files:
        check = file.verification
        if file.agreement is not None:
            ranking = f"SRCC {file.agreement.srcc:.4f}"
            source = f"float32 scores of {file.agreement.pictures} degraded pictures"
            table.add_row(file.path, f"{file.size / 1e6:.1f} MB", ranking, source)
            continue
        difference = f"{check.difference:.1e} (limit {check.tolerance:.0e})" if check else ""
        reference = check.reference if check else ""
        table.add_row(file.path, f"{file.size / 1e6:.1f} MB", difference, reference)
    Console(markup=False, highlight=False).print(table)
    typer.echo(f"score with: maclip score PICTURES --bundle {bundle.path}")
