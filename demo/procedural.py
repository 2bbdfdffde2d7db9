"""Drawn pictures for training: dead leaves, textured from photographs or by noise.

Occluding shapes with power-law sizes have the edges, scales and flat areas of natural pictures
(Lee, Mumford and Huang, "Occlusion models for natural images", 2001), and they cost nothing to
collect: they are this project's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from maclip_runtime.method.pixels import Frame

_OVERSAMPLE = 2  # drawn twice as large and shrunk, so that edges are antialiased


def draw_leaves(
    height: int, width: int, photographs: Sequence[Frame], rng: np.random.Generator
) -> Frame:
    """Draw a dead-leaves picture, uint8 [height, width, 3].

    Shapes have radii of 4 to 160 pixels with density ~ r^-3. Each is filled with a flat colour, with
    stripes, with noise or with a piece of one of the photographs.
    """
    tall, wide = height * _OVERSAMPLE, width * _OVERSAMPLE
    canvas = Image.fromarray(_fill((tall, wide), photographs, rng))
    for _ in range(int(rng.integers(40, 260))):
        radius = _OVERSAMPLE * min(160.0, 4.0 / np.sqrt(1.0 - rng.uniform(0, 0.9994)))
        x, y = rng.uniform(0, wide), rng.uniform(0, tall)
        side = max(2, int(2 * radius))
        mask = Image.new("L", (side, side))
        _draw_shape(ImageDraw.Draw(mask), side, rng)
        fill = Image.fromarray(_fill((side, side), photographs, rng))
        canvas.paste(fill, (int(x - radius), int(y - radius)), mask)
    return np.asarray(canvas.resize((width, height), Image.Resampling.BOX))


def _draw_shape(draw: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    choice = rng.integers(3)
    if choice == 0:
        draw.ellipse((0, 0, side - 1, side - 1), fill=255)
        return
    corners = 4 if choice == 1 else int(rng.integers(3, 9))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = side / 2 * rng.uniform(0.5, 1.0, corners)
    points = np.stack([side / 2 + reach * np.cos(angles), side / 2 + reach * np.sin(angles)], 1)
    draw.polygon([(float(px), float(py)) for px, py in points], fill=255)


def _fill(shape: tuple[int, int], photographs: Sequence[Frame], rng: np.random.Generator) -> Frame:
    colour = rng.uniform(0, 255, 3)
    choice = rng.random()
    if choice < 0.45:
        return _cut_piece(shape, photographs[int(rng.integers(len(photographs)))], rng)
    field = np.zeros(shape, np.float32)
    if choice < 0.6:  # stripes
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        angle, period = rng.uniform(0, np.pi), rng.uniform(6, 60)
        phase = (x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period)
        field = np.sign(np.sin(phase)) if rng.random() < 0.5 else np.sin(phase)
    elif choice < 0.8:  # noise of several scales
        for cell in (3, 6, 12, 24, 48):
            small = rng.standard_normal((shape[0] // cell + 2, shape[1] // cell + 2))
            image = Image.fromarray(small.astype(np.float32))
            image = image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
            field += np.asarray(image) * cell**0.5 / 10
    pixels = colour + field[..., None] * rng.uniform(10, 60) * rng.uniform(0.5, 1.0, 3)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _cut_piece(shape: tuple[int, int], photograph: Frame, rng: np.random.Generator) -> Frame:
    """Cut a piece at random, mirrored where the photograph is smaller than the shape."""
    tall, wide = min(shape[0], photograph.shape[0]), min(shape[1], photograph.shape[1])
    y = int(rng.integers(photograph.shape[0] - tall + 1))
    x = int(rng.integers(photograph.shape[1] - wide + 1))
    piece = photograph[y : y + tall, x : x + wide]
    pad = ((0, shape[0] - tall), (0, shape[1] - wide), (0, 0))
    return np.pad(piece, pad, mode="symmetric")
