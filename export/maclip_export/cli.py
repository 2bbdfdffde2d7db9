"""`maclip export` and `maclip prompts`. Imports torch only when a command runs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from maclip_runtime.bundle import Bundle, open_bundle
from maclip_runtime.errors import MaclipError, UsageError

if TYPE_CHECKING:
    from maclip_export.export import Report

REQUIRED = ("torch", "open_clip", "onnx", "onnxscript", "onnxruntime", "yaml")


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
    text: Annotated[
        bool, typer.Option(help="Include the text graph, which `maclip prompts` needs.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bundle.")] = False,
) -> None:
    """Turn a CLIP checkpoint into a bundle: ONNX graphs and prompt embeddings, verified."""
    if (checkpoint is None) == (model is None or pretrained is None):
        raise UsageError("give either --model NAME and --pretrained TAG, or --checkpoint FILE")
    _require_packages("export")
    from maclip_export.checkpoints import load_file, load_named
    from maclip_export.export import export_bundle
    from maclip_export.prompts import PUBLISHED_PROMPTS, read_prompts
    from maclip_runtime.bundle import check_destination

    check_destination(output, replace=force)
    pairs = read_prompts(prompts) if prompts else PUBLISHED_PROMPTS
    with _reporting() as report:
        report(f"loading {checkpoint or f'{model} {pretrained}'}")
        if checkpoint is not None:
            loaded = load_file(checkpoint, activation.value)
        else:
            assert model is not None
            assert pretrained is not None
            loaded = load_named(model, pretrained, activation.value)
        bundle = export_bundle(
            loaded, output, pairs, text_encoder=text, replace_existing=force, report=report
        )
    _summarise(bundle)


def prompts(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle directory.")],
    prompts: Annotated[Path, typer.Option(help="Prompt pairs, YAML or JSON.", metavar="FILE")],
) -> None:
    """Replace a bundle's prompts, embedded through its own text graph: no checkpoint is needed."""
    _require_packages("prompts")
    from maclip_export.export import recache_prompts
    from maclip_export.prompts import read_prompts

    pairs = read_prompts(prompts)
    recache_prompts(open_bundle(bundle), pairs)
    typer.echo(f"{bundle}: {len(pairs)} prompt pairs: {', '.join(pair.name for pair in pairs)}")


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
    table.add_column("difference from torch, of range", justify="right")
    for file in bundle.manifest.files:
        check = file.verification
        difference = f"{check.difference:.1e} (limit {check.tolerance:.0e})" if check else ""
        table.add_row(file.path, f"{file.size / 1e6:.1f} MB", difference)
    Console(markup=False, highlight=False).print(table)
    typer.echo(f"score with: maclip score PICTURES --bundle {bundle.path}")
