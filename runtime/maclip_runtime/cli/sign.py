"""`maclip sign`: a signature over a bundle's manifest, and so over every file in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maclip_runtime.bundle.staging import sign_bundle
from maclip_runtime.cli.console import say


def sign(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle directory.")],
    key: Annotated[
        Path,
        typer.Option(
            help="The Ed25519 private key, PEM: openssl genpkey -algorithm ed25519 -out key.pem",
            metavar="KEY",
        ),
    ],
) -> None:
    """Sign a bundle.

    Every checksum is verified first. `maclip inspect --verify PUB` checks the signature.

    \b
    Example:
      maclip sign rn50.maclip --key key.pem
    """
    say(f"{bundle}: signed with the key {sign_bundle(bundle, key)}")
