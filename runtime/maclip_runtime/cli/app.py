"""The command line, put together: the runtime's commands, and those other packages register."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from typing import Annotated

import typer

from maclip_runtime.cli.archive import archive
from maclip_runtime.cli.bench import bench
from maclip_runtime.cli.build import build
from maclip_runtime.cli.decoder_messages import log_decoder_messages
from maclip_runtime.cli.doctor import doctor
from maclip_runtime.cli.gate import gate
from maclip_runtime.cli.inspect import inspect
from maclip_runtime.cli.map import map_picture
from maclip_runtime.cli.report import report
from maclip_runtime.cli.score import score
from maclip_runtime.cli.serve import serve
from maclip_runtime.cli.sign import sign
from maclip_runtime.cli.triton import triton
from maclip_runtime.cli.watch import watch
from maclip_runtime.version import __version__

_NAMES = {"map_picture": "map"}  # where a function may not have its command's name


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"maclip-edge {__version__}")
        raise typer.Exit


def _callback(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what the library does, to stderr.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """No-reference image quality scores from CLIP bundles (MA-CLIP), on CPUs and NVIDIA GPUs."""
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    log_decoder_messages()


def build_app() -> typer.Typer:
    """The Typer application with every command, in the order of a bundle's life."""
    app = typer.Typer(
        name="maclip",
        no_args_is_help=True,
        rich_markup_mode=None,  # panels leave 80 columns too little for the text
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_callback)
    # maclip_export imports this package, so this package finds it by its registration instead.
    for entry in sorted(entry_points(group="maclip.commands"), key=lambda entry: entry.name):
        app.command(entry.name)(entry.load())
    for command in (
        build,
        sign,
        score,
        archive,
        watch,
        report,
        map_picture,
        gate,
        triton,
        serve,
        bench,
        inspect,
        doctor,
    ):
        app.command(_NAMES.get(command.__name__))(command)
    return app
