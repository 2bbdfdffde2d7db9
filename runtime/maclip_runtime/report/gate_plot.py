"""A gate as a picture: how the values of accepted and rejected pictures lie, and the ROC. Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from maclip_runtime.gate.gate import Gate
from maclip_runtime.gate.separation import trace_roc
from maclip_runtime.report.axes import list_ticks, span_values
from maclip_runtime.report.drawing import (
    FAINT,
    INK,
    PAPER,
    Font,
    clean_text,
    load_font,
    measure_text,
)

Box = tuple[int, int, int, int]

# Told apart by colour-blind people and in gray (Okabe and Ito, 2008: blue and vermilion).
_ACCEPT, _REJECT, _LINE = (0, 114, 178), (213, 94, 0), (220, 223, 228)
_BINS = 30
_WIDTH, _HEIGHT = 1200, 560


def plot_gate(gate: Gate, accept: Sequence[float], reject: Sequence[float]) -> Image.Image:
    """The gate's quantity: histograms of `accept` and `reject` with the threshold, and their ROC."""
    canvas = Image.new("RGB", (_WIDTH, _HEIGHT), PAPER)
    draw = ImageDraw.Draw(canvas)
    heading, font = load_font(20), load_font(14)
    figures = gate.figures[gate.quantity]
    low, high = figures.auc_interval
    title = (
        f"Gate on {clean_text(gate.quantity, 40)}: pass at {gate.threshold:.4f} and above; "
        f"AUC {figures.auc:.3f} ({low:.3f} to {high:.3f})"
    )
    draw.text((40, 20), title, INK, font=heading)
    good, bad = np.asarray(accept, np.float64), np.asarray(reject, np.float64)
    _draw_histograms(draw, (60, 100, 640, 490), good, bad, gate, font)
    _draw_roc(draw, (760, 100, 1150, 490), good, bad, gate, font)
    return canvas


def _draw_histograms(
    draw: ImageDraw.ImageDraw, box: Box, good: np.ndarray, bad: np.ndarray, gate: Gate, font: Font
) -> None:
    """Accepted pictures above the middle line, rejected ones below it."""
    left, top, right, bottom = box
    low, high = span_values(np.concatenate([good, bad]).astype(np.float32))
    middle = (top + bottom) // 2

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    groups = ((good, _ACCEPT, -1, "accept"), (bad, _REJECT, 1, "reject"))
    for values, colour, direction, name in groups:
        counts, edges = np.histogram(values, bins=_BINS, range=(low, high))
        room = (bottom - top) / 2 - 4
        for place in np.flatnonzero(counts):
            length = direction * room * counts[place] / counts.max()
            ends = sorted((middle + direction, middle + direction + length))
            draw.rectangle(
                (across(edges[place]) + 1, ends[0], across(edges[place + 1]) - 1, ends[1]), colour
            )
        label = f"{name}: {len(values)} pictures, at most {counts.max()} a bar"
        y = top - 26 if direction < 0 else bottom + 34
        draw.text((left, y), label, colour, font=font)
    draw.line((left, middle, right, middle), INK)
    draw.line((left, bottom + 4, right, bottom + 4), FAINT)
    for tick in list_ticks(low, high, 6):
        _write_centred(draw, across(tick), bottom + 10, f"{tick:.6g}", font)
    x = across(gate.threshold)
    for y in range(top - 4, bottom + 4, 10):
        draw.line((x, y, x, y + 5), INK, width=2)


def _draw_roc(
    draw: ImageDraw.ImageDraw, box: Box, good: np.ndarray, bad: np.ndarray, gate: Gate, font: Font
) -> None:
    left, top, right, bottom = box

    def to_pixel(false_reject: float, caught: float) -> tuple[float, float]:
        return left + false_reject * (right - left), bottom - caught * (bottom - top)

    for tick in list_ticks(0, 1):
        x, y = to_pixel(tick, tick)
        draw.line((x, top, x, bottom), _LINE)
        draw.line((left, y, right, y), _LINE)
        _write_centred(draw, x, bottom + 10, f"{tick:g}", font)
        text = f"{tick:g}"
        draw.text((left - 10 - measure_text(draw, text, font)[0], y - 8), text, FAINT, font=font)
    draw.line((*to_pixel(0, 0), *to_pixel(1, 1)), FAINT)
    roc = trace_roc(good, bad)
    points = [to_pixel(0, 0)]
    for false_reject, caught in zip(roc.false_reject, roc.caught, strict=True):
        points += [to_pixel(float(false_reject), float(caught))]
    draw.line(points, _ACCEPT, width=3, joint="curve")
    figures = gate.figures[gate.quantity]
    x, y = to_pixel(figures.false_reject, figures.caught)
    draw.ellipse((x - 6, y - 6, x + 6, y + 6), PAPER, INK, 3)
    draw.text((left, top - 26), "rejected ones caught, by accepted ones rejected", FAINT, font=font)
    note = (
        f"circle: the threshold catches {figures.caught:.0%} and rejects "
        f"{figures.false_reject:.1%} of accepted"
    )
    draw.text((left - 40, bottom + 34), note, FAINT, font=font)


def _write_centred(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, font: Font) -> None:
    draw.text((x - measure_text(draw, text, font)[0] / 2, y), text, FAINT, font=font)
