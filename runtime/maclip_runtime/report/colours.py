"""The colour scale of maps and plots: perceptually uniform, and readable in gray.

A path of our own through OKLab (Ottosson, "A perceptual color space for image processing", 2020), from
dark violet for low values over blue and green to light yellow for high ones: lightness only rises, so
the order survives gray prints, and blue to yellow is what colour-blind people tell apart. Equal steps
of the value are equal distances in OKLab.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.uint8]

# OKLab lightness and hue (degrees) at the path's ends; chroma as a quadratic Bezier curve, low enough in
# the middle for sRGB's blues and greens.
_LIGHTNESS = (0.27, 0.95)
_HUE = (305.0, 105.0)
_CHROMA = (0.14, 0.05, 0.16)

_LMS_OF_LAB = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_RGB_OF_LMS = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def _to_linear_rgb(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """OKLab `[N, 3]` to linear sRGB, which is out of 0..1 where a display cannot show the colour."""
    return (lab @ _LMS_OF_LAB.T) ** 3 @ _RGB_OF_LMS.T


def _draw_path(count: int) -> NDArray[np.float64]:
    """The path in OKLab `[count, 3]`; it stays within what an sRGB display can show."""
    part = np.linspace(0, 1, count)
    lightness = _LIGHTNESS[0] + (_LIGHTNESS[1] - _LIGHTNESS[0]) * part
    hue = np.radians(_HUE[0] + (_HUE[1] - _HUE[0]) * part)
    start, middle, end = _CHROMA
    chroma = start * (1 - part) ** 2 + middle * 2 * part * (1 - part) + end * part**2
    return np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)


@cache
def make_scale(steps: int = 256) -> Colours:
    """The scale as sRGB uint8 `[steps, 3]`, lowest value first; read-only."""
    path = _draw_path(4096)
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))]
    even = np.linspace(0, length[-1], steps)
    lab = np.stack([np.interp(even, length, channel) for channel in path.T], axis=1)
    linear = np.clip(_to_linear_rgb(lab), 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    scale = np.rint(encoded * 255).astype(np.uint8)
    scale.flags.writeable = False
    return scale


def colour_values(values: NDArray[np.float32], low: float, high: float) -> Colours:
    """Values of any shape as colours `[..., 3]`; `low` and below are the first, `high` the last."""
    span = high - low if high > low else 1.0
    part = np.clip((values - low) / span, 0, 1)
    return make_scale()[np.rint(part * 255).astype(np.intp)]
