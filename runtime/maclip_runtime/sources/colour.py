"""Colour of video: which matrix and range a stream means, and YCbCr to RGB.

ITU-R BT.601 and BT.709 (equal in form, other weights of red and blue); 8-bit quantisation as they
lay it down: limited range has black at 16 and white at 235, chroma between 16 and 240; full range
uses 0 to 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.method.pixels import Frame
from maclip_runtime.vocabulary import ColourMatrix, ColourRange

# Weights of red and blue in luma: BT.601-7 (2.5.1), BT.709-6 (3.2), BT.2020-2 (table 4).
LUMA_WEIGHTS: dict[ColourMatrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}

TermName = Literal["luma", "red", "blue", "green_from_red", "green_from_blue"]

FRACTION_BITS = 5  # of int16: luma and chroma terms together stay below 2^15 / 2^5 = 1024
_STRIP = 64  # rows at a time: a strip's planes stay in the processor's cache


def assume_matrix(width: int, height: int) -> ColourMatrix:
    """The matrix of a stream that names none: BT.709 for high definition, as video players do.

    High definition begins at 1280 columns or above 576 lines, where BT.601's formats end.
    """
    return "bt709" if width >= 1280 or height > 576 else "bt601"


def convert_yuv(
    luma: NDArray[np.uint8],
    chroma_blue: NDArray[np.uint8],
    chroma_red: NDArray[np.uint8],
    matrix: ColourMatrix,
    value_range: ColourRange,
) -> Frame:
    """YCbCr to RGB: luma `[H, W]`, chroma `[ceil(H / v), ceil(W / 2)]` with v 1 (4:2:2) or 2 (4:2:0).

    Chroma is repeated, not interpolated, as libswscale's own fast conversion does. Fixed point;
    within 1 of the formula in floating point.
    """
    height, width = luma.shape
    vertical = 1 if chroma_blue.shape[0] == height else 2
    tables = _tables(matrix, value_range)
    frame = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP):
        rows = slice(top, min(top + _STRIP, height))
        chroma_rows = slice(top // vertical, -(-rows.stop // vertical))
        luma_term = tables["luma"][luma[rows]]
        blue, red = chroma_blue[chroma_rows], chroma_red[chroma_rows]
        terms = (
            tables["red"][red],
            tables["green_from_blue"][blue] + tables["green_from_red"][red],
            tables["blue"][blue],
        )
        for channel, term in enumerate(terms):
            if vertical == 2:
                term = np.repeat(term, 2, axis=0)[: luma_term.shape[0]]
            value = luma_term + np.repeat(term, 2, axis=1)[:, :width]
            value >>= FRACTION_BITS
            np.clip(value, 0, 255, out=value)
            frame[rows, :, channel] = value
    return frame


def convert_gray(luma: NDArray[np.uint8], value_range: ColourRange) -> Frame:
    """Gray `[H, W]` to RGB; limited range is stretched to 0..255."""
    if value_range == "limited":
        stretched = np.rint((np.arange(256) - 16.0) * (255 / 219))
        luma = np.clip(stretched, 0, 255).astype(np.uint8)[luma]
    return np.repeat(luma[:, :, None], 3, axis=2)


@dataclass(frozen=True)
class Term:
    """What a value of luma or chroma adds to a colour: `rint(gain * (value - zero)) + added`, in 1/32."""

    gain: float
    zero: int
    added: int = 0


def list_terms(matrix: ColourMatrix, value_range: ColourRange) -> dict[TermName, Term]:
    """The terms of RGB; the colours are their sums, divided by 32, rounded down, and clipped to 0..255."""
    red, blue = LUMA_WEIGHTS[matrix]
    green = 1 - red - blue
    black, luma_span, chroma_span = (16, 219, 224) if value_range == "limited" else (0, 255, 255)
    one = 255 << FRACTION_BITS
    chroma_gains: dict[TermName, float] = {
        "red": 2 * (1 - red),
        "blue": 2 * (1 - blue),
        "green_from_red": -2 * (1 - red) * red / green,
        "green_from_blue": -2 * (1 - blue) * blue / green,
    }
    half = 1 << FRACTION_BITS >> 1  # so that rounding down rounds
    return {
        "luma": Term(one / luma_span, black, half),
        **{name: Term(gain * one / chroma_span, 128) for name, gain in chroma_gains.items()},
    }


@cache
def _tables(matrix: ColourMatrix, value_range: ColourRange) -> dict[TermName, NDArray[np.int16]]:
    """What each luma and chroma value adds to each colour, in 1/32; luma's holds the rounding half."""
    levels = np.arange(256.0)
    return {
        name: (np.rint(term.gain * (levels - term.zero)) + term.added).astype(np.int16)
        for name, term in list_terms(matrix, value_range).items()
    }
