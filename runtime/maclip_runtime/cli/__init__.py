"""The `maclip` command. `main` is its entry point; the commands are in modules of their own."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `maclip`. Exit status: 0 done, 1 some pictures failed, 2 wrong usage or unusable bundle."""
    try:
        from maclip_runtime.cli.run import run
    except ModuleNotFoundError as error:
        # The library's core installs without the command line's packages.
        if error.name not in ("typer", "rich"):
            raise
        sys.exit("maclip: the command line is not installed; run: pip install 'maclip-edge[cpu]'")
    sys.exit(run())
