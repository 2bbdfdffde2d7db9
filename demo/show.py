"""Score the sample photographs and degraded versions of them with the demo encoder.

Needs the runtime and what its reports need. Writes a report of them too. Exit status 1 if a degraded
picture scores above its original.

usage: python demo/show.py [REPORT.html]
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from rich.console import Console
from rich.table import Table

from maclip_runtime import Scorer

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"

_BIN = Path(sys.executable).parent
_BIN = _BIN.relative_to(ROOT) if _BIN.is_relative_to(ROOT) else _BIN
GO_ON = f"""\
Go on with

  your pictures, on this CPU
    {_BIN}/maclip score YOUR_PICTURES
    {_BIN}/maclip report YOUR_PICTURES --output report.html

  a camera: a device, an address (rtsp://...), or a video file
    {_BIN}/pip install -e '.[cpu,video]'
    {_BIN}/maclip watch /dev/video0

  CLIP's weights: real scores, once they are exported
    {_BIN}/pip install -e '.[export]'    # torch and open_clip, about 6 GB
    {_BIN}/maclip export --checkpoint RN50.pt --output rn50.maclip    # or, to download them:
    {_BIN}/maclip export --model RN50 --pretrained openai --output rn50.maclip
    {_BIN}/maclip score YOUR_PICTURES --bundle rn50.maclip"""

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
    """Print the table, write the report, and say how to go on."""
    report = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "demo-report.html").absolute()
    scorer = Scorer("demo")
    table = Table(
        title="demo scores (a small encoder of this project, not CLIP); higher is better",
        title_justify="left",
    )
    for heading in ("picture", "original", *DEGRADATIONS):
        table.add_column(heading, justify="left" if heading == "picture" else "right")
    fallen = True
    with tempfile.TemporaryDirectory() as directory:
        for path in sorted(SAMPLES.glob("*.jpg")):
            scores = []
            for name, picture in make_versions(path).items():
                picture.save(Path(directory) / f"{path.stem}, {name}.png")
                scores.append(scorer.score(picture).score)
            fallen = fallen and max(scores[1:]) < scores[0]
            table.add_row(path.name, *(f"{score:.3f}" for score in scores))
        # The table is as wide as it is, also where there is no terminal to fit.
        console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
        console.print(table)
        write_report(Path(directory), report)
    print(f"\nThe same as a page, with maps and attributes, for a browser:\n  {report}\n\n{GO_ON}")
    if not fallen:
        sys.exit("a degraded picture scored above its original")


def make_versions(path: Path) -> dict[str, Image.Image]:
    """A sample as it is, and degraded, by name."""
    image = Image.open(path).convert("RGB")
    degraded = {name: degrade(image) for name, degrade in DEGRADATIONS.items()}
    return {"original": image, **degraded}


def write_report(directory: Path, report: Path) -> None:
    """`maclip report` of the pictures in a directory, as a user would run it."""
    arguments = ("report", ".", "--bundle", "demo", "--output", str(report))
    done = subprocess.run([sys.executable, "-m", "maclip_runtime", *arguments], cwd=directory)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
