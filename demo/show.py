"""Score the sample photographs and degraded versions of them with the demo encoder.

Needs the runtime only. Exit status 1 if a degraded picture scores above its original.

usage: python demo/show.py
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from rich.console import Console
from rich.table import Table

from maclip_runtime import Scorer

SAMPLES = Path(__file__).parents[1] / "samples"

Degrade = Callable[[Image.Image], Image.Image]


def add_noise(image: Image.Image) -> Image.Image:
    """Gaussian noise with a standard deviation of 20 of 255."""
    noise = np.random.default_rng(0).normal(0, 20, (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def compress(image: Image.Image) -> Image.Image:
    """Through JPEG at quality 8."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=8)
    return Image.open(stream)


def shrink(image: Image.Image) -> Image.Image:
    """Down to a quarter on each side and up again."""
    small = image.resize((image.width // 4, image.height // 4), Image.Resampling.BICUBIC)
    return small.resize(image.size, Image.Resampling.BICUBIC)


DEGRADATIONS: dict[str, Degrade] = {
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(3)),
    "noisy": add_noise,
    "JPEG quality 8": compress,
    "down and up by 4": shrink,
    "underexposed": lambda image: ImageEnhance.Brightness(image).enhance(0.3),
}


def main() -> None:
    """Print the table and how to go on."""
    scorer = Scorer("demo")
    table = Table(
        title="demo scores (a small encoder of this project, not CLIP); higher is better",
        title_justify="left",
    )
    for heading in ("picture", "original", *DEGRADATIONS):
        table.add_column(heading, justify="left" if heading == "picture" else "right")
    fallen = True
    for path in sorted(SAMPLES.glob("*.jpg")):
        image = Image.open(path).convert("RGB")
        original = scorer.score(image).score
        degraded = [scorer.score(degrade(image)).score for degrade in DEGRADATIONS.values()]
        fallen = fallen and max(degraded) < original
        table.add_row(path.name, f"{original:.3f}", *(f"{score:.3f}" for score in degraded))
    # The table is as wide as it is, also where there is no terminal to fit.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(table)
    console.print(
        "Go on with:\n"
        "  .venv-demo/bin/maclip score YOUR_PICTURES --bundle demo\n"
        "  .venv-demo/bin/pip install -e '.[export]'    # torch and open_clip, about 6 GB\n"
        "  .venv-demo/bin/maclip export --model RN50 --pretrained openai --output rn50.maclip",
        markup=False,
    )
    if not fallen:
        sys.exit("a degraded picture scored above its original")


if __name__ == "__main__":
    main()
