"""Export the demo encoder into the runtime's package, where `--bundle demo` finds it.

usage: python demo/make_bundle.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from maclip_export.checkpoints import load_file
from maclip_export.export import export_bundle
from maclip_export.prompts import PUBLISHED_PROMPTS

ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT / "demo" / "demo-encoder.pt"
PACKAGED = ROOT / "runtime" / "maclip_runtime" / "demo"


def main() -> None:
    """Replace the packaged bundle by one of the present checkpoint."""
    checkpoint = load_file(CHECKPOINT)
    weights = replace(checkpoint.weights, name="maclip-demo", demo=True)
    # Without the text tower, which knows the published prompts only and would double the size.
    bundle = export_bundle(
        replace(checkpoint, weights=weights),
        PACKAGED,
        PUBLISHED_PROMPTS,
        text_encoder=False,
        replace_existing=PACKAGED.exists(),
        report=print,
    )
    size = sum(file.size for file in bundle.manifest.files)
    print(f"{bundle.path.relative_to(ROOT)}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
