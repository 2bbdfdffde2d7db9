"""Make the bundles that the tests score with, from checkpoints that a seed determines.

The tests of the runtime take them from MACLIP_TEST_BUNDLES, so that they also run where there is no
torch to export with.

usage: make_bundles.py OUT_DIR
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from maclip_export.checkpoints import load_file
from maclip_export.export import export_bundle
from maclip_export.prompts import PUBLISHED_PROMPTS
from maclip_export.selection import GraphSelection
from reference.make_checkpoint import ARCHS, build

SEED = 1  # the one the recorded scores were made with


def write_checkpoint(arch: str, path: Path) -> Path:
    if not path.exists():
        torch.save(build(arch, SEED), path)
    return path


def write_bundle(arch: str, directory: Path) -> Path:
    bundle = directory / f"{arch}.maclip"
    if not bundle.exists():
        checkpoint = load_file(write_checkpoint(arch, directory / f"{arch}.pt"))
        # The full-size architectures are there for their scores, the small ones for every kind of file.
        small = arch.endswith("small")
        sizes = [None, (480, 640)] if small else []
        export_bundle(
            checkpoint,
            bundle,
            PUBLISHED_PROMPTS,
            GraphSelection(["fp32", "fp16"], sizes, sizes, sizes if arch == "rn-small" else []),
            text_encoder=small,
        )
    return bundle


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for arch in ARCHS:
        print(write_bundle(arch, out))
