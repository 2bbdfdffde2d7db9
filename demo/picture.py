"""Draw the README's picture: a sample as it is and degraded, each with its score by the demo encoder.

usage: python demo/picture.py docs/demo.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw

from maclip_runtime import Scorer
from maclip_runtime.report.drawing import FAINT, INK, PAPER, load_font
from show import SAMPLES, make_versions

COLUMNS, WIDTH, GAP, CAPTION = 3, 300, 14, 58
_BAR, _BAR_GROUND = (0, 121, 107), (224, 224, 224)


def draw(path: Path) -> Image.Image:
    """Versions in rows of three: the picture, what was done to it, its score, and a bar from 0 to 1."""
    scorer = Scorer("demo")
    versions = make_versions(path)
    height = round(WIDTH * versions["original"].height / versions["original"].width)
    cell, rows = height + CAPTION, -(-len(versions) // COLUMNS)
    size = (COLUMNS * (WIDTH + GAP) + GAP, rows * (cell + GAP) + GAP)
    drawing = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(drawing)
    for index, (name, version) in enumerate(versions.items()):
        x = GAP + index % COLUMNS * (WIDTH + GAP)
        y = GAP + index // COLUMNS * (cell + GAP)
        score = scorer.score(version).score
        drawing.paste(version.resize((WIDTH, height), Image.Resampling.LANCZOS), (x, y))
        pen.text((x, y + height + 8), name, FAINT, load_font(20))
        pen.text((x + WIDTH, y + height + 6), f"{score:.2f}", INK, load_font(24), anchor="ra")
        bar = (x, y + height + 42, x + WIDTH, y + height + 50)
        pen.rectangle(bar, _BAR_GROUND)
        pen.rectangle((*bar[:2], x + WIDTH * min(score, 1), bar[3]), _BAR)
    return drawing


if __name__ == "__main__":
    draw(SAMPLES / "chelsea.jpg").save(sys.argv[1], quality=88, optimize=True)
