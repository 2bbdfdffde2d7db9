"""`maclip export` and `maclip prompts`. Imports torch only when a command runs."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from maclip_export.cli.output import print_summary, report_steps
from maclip_export.selection import LEAST_SRCC, GraphSelection
from maclip_export.vocabulary import Activation, FrameSize
from maclip_runtime.bundle.bundle import open_bundle
from maclip_runtime.bundle.staging import check_destination
from maclip_runtime.cli.console import say
from maclip_runtime.cli.options import parse_size
from maclip_runtime.errors import MaclipError, UsageError
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.vocabulary import (
    GRAPH_PIXEL_FORMATS,
    PRECISIONS,
    ColourMatrix,
    ColourRange,
    Precision,
)

Name = TypeVar("Name", bound=str)

REQUIRED = ("torch", "open_clip", "onnx", "onnxscript", "onnxruntime", "yaml", "scipy")


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
        typer.Option(
            help="Instead: a file in OpenAI's layout, its sizes read from it.", metavar="FILE"
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Prompt pairs, YAML or JSON; default: the published ones.", metavar="FILE"
        ),
    ] = None,
    activation: Annotated[
        Activation, typer.Option(help="For files whose origin does not tell.")
    ] = "auto",
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
        str,
        typer.Option(
            help="Of the graphs: fp32, fp16, int8, or several with commas between.", metavar="LIST"
        ),
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
    ] = LEAST_SRCC,
    frame: Annotated[
        list[str] | None,
        typer.Option(
            help="Also a graph that takes raw frames, from which plans are built: `any` size, or one "
            "such as 1080x1920 (height x width). May be repeated. Default: none; any "
            "with fp16 or --pixel-format.",
            metavar="any|HxW|none",
        ),
    ] = None,
    pixel_format: Annotated[
        str | None,
        typer.Option(
            help="Of the frames that --frame's graphs take: rgb24, bgr24, rgba, nv12, or several with "
            "commas between. Default: rgb24.",
            metavar="LIST",
        ),
    ] = None,
    matrix: Annotated[
        ColourMatrix | None,
        typer.Option(help="Of nv12 frames; default: by size, if they have one."),
    ] = None,
    range_: Annotated[
        ColourRange, typer.Option("--range", help="Of the values of nv12 frames.")
    ] = "limited",
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
    sign: Annotated[
        Path | None,
        typer.Option(help="Sign the bundle with this Ed25519 private key (PEM).", metavar="KEY"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bundle.")] = False,
) -> None:
    """Turn a CLIP checkpoint into a bundle.

    A bundle is a directory of ONNX graphs, prompt embeddings and a manifest. Every graph is verified
    against PyTorch before anything is written. Needs torch: pip install 'maclip-edge[export]'.

    \b
    Examples:
      maclip export --model RN50 --pretrained openai --output rn50.maclip
      maclip export --checkpoint RN50.pt --output rn50.maclip --precision fp16
    """
    if (checkpoint is None) == (model is None or pretrained is None):
        raise UsageError("give either --model NAME and --pretrained TAG, or --checkpoint FILE")
    precisions = _parse_names("--precision", precision, PRECISIONS)
    formats = _parse_names("--pixel-format", pixel_format or "rgb24", GRAPH_PIXEL_FORMATS)
    wanted = ["any"] if pixel_format else _default_frames(precisions)
    frames = _parse_sizes("--frame", frame or wanted)
    if pixel_format and not frames:
        raise UsageError("--pixel-format is of frame graphs", "give a --frame, or leave it out")
    scores, denses = _parse_sizes("--score", score), _parse_sizes("--dense", dense)
    if "int8" in precisions and calibration is None:
        raise UsageError(
            "--precision int8 needs --calibration DIR, pictures such as the encoder will see"
        )
    GraphSelection(frames=frames, pixel_formats=formats, matrix=matrix)  # before long work
    check_destination(output, replace=force)
    _require_packages("export")
    from maclip_export.checkpoints import load_file, load_named
    from maclip_export.export import export_bundle
    from maclip_export.prompts import PUBLISHED_PROMPTS, read_prompts
    from maclip_export.quality.calibration import read_calibration

    pairs = read_prompts(prompts) if prompts else PUBLISHED_PROMPTS
    pictures = read_calibration(calibration, ViewGeometry()) if calibration else None
    selection = GraphSelection(
        precisions, frames, scores, denses, pictures, int8_srcc, formats, matrix, range_
    )
    with report_steps() as report:
        report(f"loading {checkpoint or f'{model} {pretrained}'}")
        if checkpoint is not None:
            loaded = load_file(checkpoint, activation, trust_checkpoint=trust_checkpoint)
        else:
            assert model is not None
            assert pretrained is not None
            loaded = load_named(model, pretrained, activation, trust_checkpoint=trust_checkpoint)
        bundle = export_bundle(
            loaded,
            output,
            pairs,
            selection,
            text_encoder=text,
            replace_existing=force,
            signing_key=sign,
            report=report,
        )
    print_summary(bundle)


def prompts(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle directory.")],
    prompts: Annotated[Path, typer.Option(help="Prompt pairs, YAML or JSON.", metavar="FILE")],
    add: Annotated[
        bool, typer.Option("--add", help="Keep the bundle's own pairs, and put these after them.")
    ] = False,
) -> None:
    """Replace a bundle's prompts, or add to them.

    They are embedded through the bundle's own text graph: no checkpoint is needed.

    Pairs with `scored: false` are reported as attributes and change no score.
    """
    _require_packages("prompts")
    from maclip_export.prompts import read_prompts, replace_prompts

    open_bundle(bundle)  # what is wrong with it is said first
    pairs = replace_prompts(bundle, read_prompts(prompts), add=add).manifest.prompts
    names = (pair.name if pair.scored else f"{pair.name} (not scored)" for pair in pairs)
    say(f"{bundle}: {len(pairs)} prompt pairs: {', '.join(names)}")


def _parse_names(option: str, text: str, known: Sequence[Name]) -> list[Name]:
    """The names in a list with commas, in the order in which they are known."""
    chosen = [name.strip() for name in text.split(",")]
    if not set(chosen) <= set(known):
        raise UsageError(f"{option} {text}: use {', '.join(known)}, with a comma between several")
    return [name for name in known if name in chosen]


def _default_frames(precisions: list[Precision]) -> list[str]:
    """Half precision is for GPUs, which want the frame graph."""
    return ["any"] if "fp16" in precisions else []


def _parse_sizes(option: str, texts: list[str] | None) -> list[FrameSize | None]:
    """`any` to None, and `HxW` to (H, W); `none` is left out."""
    least = ViewGeometry().size
    return [
        None if text == "any" else parse_size(text, option, least=least)
        for text in texts or ()
        if text != "none"
    ]


def _require_packages(command: str) -> None:
    for package in REQUIRED:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MaclipError(
                f"`maclip {command}` needs {package} ({error}); on a workstation run: "
                "pip install 'maclip-edge[export]'"
            ) from None
