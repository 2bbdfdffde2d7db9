"""A picture and its quality map, drawn with Pillow alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from maclip_runtime.errors import refuse_unknown
from maclip_runtime.method.quality_map import QualityMap
from maclip_runtime.report.axes import list_ticks, span_map
from maclip_runtime.report.colours import colour_values, make_scale

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PAPER, INK, FAINT = (255, 255, 255), (32, 33, 36), (95, 99, 104)
_UNSEEN = 0.25  # how much of the picture shows where no window saw it
_DETAIL = 0.7  # how strongly the picture's fine detail shows in the map
_MARGIN, _GAP = 24, 16
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


@cache
def load_font(size: int) -> Font:
    """Pillow's own font. Before 10.1, or without FreeType, it has one size and no scalable outline."""
    try:
        return ImageFont.load_default(size)
    except (TypeError, ImportError, OSError):
        return ImageFont.load_default()


def clean_text(text: str, most: int = 90) -> str:
    """Text that any of Pillow's fonts can draw on one line, its middle left out where it is too long.

    The bitmap font has Latin-1 and fails at anything else.
    """
    shown = "".join(c if c.isprintable() and ord(c) < 256 else "?" for c in text)
    if len(shown) <= most:
        return shown
    return shown[: most // 3] + "..." + shown[-(most - most // 3 - 3) :]


def paint_map(
    picture: Image.Image, quality_map: QualityMap, low: float, high: float
) -> Image.Image:
    """The map in colour over the picture, as large as `picture`, which may be scaled down.

    Colours are the scale's, with the picture's fine detail on top so that one sees where one is; what no
    window saw shows the picture itself, faint and gray.
    """
    width, height = picture.size
    gray = np.asarray(picture.convert("L"), np.float32)
    blurred = picture.convert("L").filter(ImageFilter.GaussianBlur(max(width, height) / 64))
    detail = gray - np.asarray(blurred, np.float32)
    painted = 255 - (255 - np.repeat(gray[..., None], 3, axis=2)) * _UNSEEN
    _, _, right, bottom = quality_map.box
    columns = min(round(right * width / quality_map.picture_size[1]), width)
    rows = min(round(bottom * height / quality_map.picture_size[0]), height)
    values = Image.fromarray(quality_map.values, mode="F")
    smooth = np.asarray(values.resize((columns, rows), Image.Resampling.BILINEAR))
    coloured = colour_values(smooth, low, high) + _DETAIL * detail[:rows, :columns, None]
    painted[:rows, :columns] = coloured
    return Image.fromarray(np.rint(np.clip(painted, 0, 255)).astype(np.uint8))


def draw_scale(
    width: int, height: int, low: float, high: float, font: Font, label: str
) -> Image.Image:
    """A horizontal bar of the colour scale with round numbers below it, `width` x `height` pixels."""
    scale = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(scale)
    text_height = round(measure_text(draw, "0", font)[1])
    bar = max(8, height - 3 * text_height - 10)
    inset = 2 * text_height
    steps = make_scale(256)[np.linspace(0, 255, width - 2 * inset).astype(np.intp)]
    scale.paste(Image.fromarray(np.repeat(steps[None], bar, axis=0)), (inset, 0))
    for tick in list_ticks(low, high):
        x = inset + (tick - low) / (high - low) * (width - 2 * inset - 1)
        draw.line((x, bar, x, bar + 4), INK)
        text = f"{tick:.6g}"
        draw.text((x - measure_text(draw, text, font)[0] / 2, bar + 6), text, INK, font=font)
    below = bar + 6 + 1.6 * text_height
    draw.text(((width - measure_text(draw, label, font)[0]) / 2, below), label, FAINT, font=font)
    return scale


def draw_map(
    picture: NDArray[np.uint8],
    quality_map: QualityMap,
    *,
    title: str,
    notes: Sequence[str] = (),
    side: int = 640,
) -> Image.Image:
    """Picture and map side by side, with a scale and numbers.

    picture: uint8 `[H, W, 3]`, the one that was scored. side: of each of the two at most, in pixels.
    title, notes: lines above and below; characters that the font lacks are shown as `?`.
    """
    shown = Image.fromarray(picture)
    factor = side / max(shown.size)
    size = (max(1, round(shown.width * factor)), max(1, round(shown.height * factor)))
    shown = shown.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    low, high = span_map(quality_map)
    heading, small = load_font(max(16, side // 30)), load_font(max(13, side // 42))
    values = quality_map.values
    lines = [f"lowest {values.min():.3f}, highest {values.max():.3f} of the map"]
    if quality_map.seen < 0.995:
        lines.append(f"{1 - quality_map.seen:.0%} of the frame, faint, is in the global view only")
    lines += notes
    probe = ImageDraw.Draw(shown)
    line = round(1.5 * measure_text(probe, "Hg", small)[1])
    top = _MARGIN + round(1.6 * measure_text(probe, "Hg", heading)[1])
    below = top + shown.height + _GAP
    scale_height = 3 * line + 12
    width = 2 * shown.width + _GAP + 2 * _MARGIN
    height = below + max(scale_height, len(lines) * line) + _MARGIN
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    room = int((width - 2 * _MARGIN) / max(1, measure_text(draw, "n", heading)[0]))
    draw.text((_MARGIN, _MARGIN), clean_text(title, room), INK, font=heading)
    right = _MARGIN + shown.width + _GAP
    canvas.paste(shown, (_MARGIN, top))
    canvas.paste(paint_map(shown, quality_map, low, high), (right, top))
    label = f"{quality_map.quantity}, by the windows that see a place"
    scale = draw_scale(shown.width, scale_height, low, high, small, label)
    canvas.paste(scale, (right, below))
    for place, text in enumerate(lines):
        draw.text((_MARGIN, below + place * line), clean_text(text, room), FAINT, font=small)
    return canvas


def check_suffix(suffix: str) -> None:
    """Raise UsageError unless drawings can be written to files with this suffix."""
    refuse_unknown("suffix", suffix.lower(), tuple(_FORMATS))


def encode_picture(image: Image.Image, suffix: str) -> bytes:
    """A drawing as the bytes of a file with this suffix."""
    check_suffix(suffix)
    buffer = io.BytesIO()
    image.save(buffer, _FORMATS[suffix.lower()], quality=90)
    return buffer.getvalue()


def measure_text(draw: ImageDraw.ImageDraw, text: str, font: Font) -> tuple[float, float]:
    """Width and height of a line of text in pixels."""
    left, _, right, bottom = draw.textbbox((0, 0), text, font=font)
    return right - left, bottom
