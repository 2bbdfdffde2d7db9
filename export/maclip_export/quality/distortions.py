"""Synthetic distortions of known, continuous severity, for training and for measuring scores.

Every kind is a function of a frame and a severity in [0, 1]. Severity 0 is the frame itself, bit for
bit (codecs are then left out altogether), and a larger severity is never milder. The ranges are set
so that 1/8 is about where a careful look at a 768-pixel picture sees a difference and 1 is plainly
bad. A random kind draws its pattern from the seed alone, so that the severities of one seed form a
ladder: the same noise, only stronger.

The kinds follow the catalogues of distorted-picture databases: TID2013 (Ponomarenko et al., 2015)
and KADID-10k (Lin et al., 2019). The formulas are textbook ones and are given with each function.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from maclip_runtime.method.pixels import Frame

FloatFrame = NDArray[np.float32]  # [H, W, 3] in [0, 1], or outside it before rounding


def distort(frame: Frame, kind: str, severity: float, seed: int = 0) -> Frame:
    """Return `frame` distorted by `kind` at `severity`.

    frame: uint8 [H, W, 3], RGB. severity: in [0, 1], continuous; 0 returns an unchanged copy.
    seed: fixes the noise pattern or the direction of motion; other kinds ignore it.
    Returns uint8 [H, W, 3].
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(f"a frame is uint8 [H, W, 3], not {frame.dtype} {list(frame.shape)}")
    if kind not in KINDS:
        raise ValueError(f"unknown distortion {kind!r}: one of {', '.join(KINDS)}")
    if not 0.0 <= severity <= 1.0:
        raise ValueError(f"a severity lies in [0, 1], not {severity}")
    if severity == 0.0:
        return frame.copy()
    return KINDS[kind](frame, float(severity), np.random.default_rng(seed))


def _to_pixels(frame: Frame) -> FloatFrame:
    return frame.astype(np.float32) / np.float32(255)


def _to_frame(pixels: FloatFrame) -> Frame:
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def _blend_geometric(start: float, end: float, severity: float) -> float:
    """From start to end in equal ratios, which is how codecs and scales are perceived."""
    return start * (end / start) ** severity


def _blur(pixels: FloatFrame, sigma: float) -> FloatFrame:
    return ndimage.gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest", truncate=3.0)


def _convolve(pixels: FloatFrame, kernel: FloatFrame) -> FloatFrame:
    """Convolve each channel with a small 2-D kernel, edges repeated."""
    radius_y, radius_x = kernel.shape[0] // 2, kernel.shape[1] // 2
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((radius_y, radius_y), (radius_x, radius_x), (0, 0)), mode="edge")
    out = np.zeros_like(pixels)
    for y, x in zip(*np.nonzero(kernel), strict=True):  # these kernels are mostly zeros
        out += kernel[y, x] * padded[y : y + height, x : x + width]
    return out


def _gaussian_blur(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Gaussian of standard deviation 5 x severity pixels."""
    return _to_frame(_blur(_to_pixels(frame), 5.0 * severity))


def _defocus_blur(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Mean over a disc of radius 8 x severity pixels, its rim weighted by coverage."""
    radius = 8.0 * severity
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1).astype(np.float32)
    return _to_frame(_convolve(_to_pixels(frame), kernel / kernel.sum()))


def _motion_blur(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Mean along a line of 30 x severity pixels in a direction drawn from the seed."""
    angle = rng.uniform(0, math.pi)
    half = 15.0 * severity
    reach = math.ceil(half) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for step in np.linspace(-half, half, 8 * reach + 1):  # bilinear splats along the line
        y, x = reach + step * math.sin(angle), reach + step * math.cos(angle)
        y0, x0 = math.floor(y), math.floor(x)
        for dy in (0, 1):
            for dx in (0, 1):
                weight = (1 - abs(y - y0 - dy)) * (1 - abs(x - x0 - dx))
                if weight > 0:
                    kernel[y0 + dy, x0 + dx] += weight
    return _to_frame(_convolve(_to_pixels(frame), kernel / kernel.sum()))


def _gaussian_noise(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """White noise of standard deviation 0.2 x severity, independent in the three channels."""
    noise = rng.standard_normal(frame.shape, dtype=np.float32)
    return _to_frame(_to_pixels(frame) + np.float32(0.2 * severity) * noise)


def _shot_noise(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Photon noise: deviation 0.35 x severity x sqrt(value), as at ever fewer photons.

    Poisson counts are drawn by their normal approximation, so that one seed is one pattern.
    """
    pixels = _to_pixels(frame)
    noise = rng.standard_normal(frame.shape, dtype=np.float32)
    return _to_frame(pixels + np.float32(0.35 * severity) * np.sqrt(pixels) * noise)


def _impulse_noise(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Salt and pepper: a share of 0.2 x severity of the pixels turns black or white."""
    chance = rng.random(frame.shape[:2], dtype=np.float32)
    colour = np.where(rng.random(frame.shape[:2]) < 0.5, 0, 255).astype(np.uint8)
    return np.where((chance < 0.2 * severity)[..., None], colour[..., None], frame)


def _recode(frame: Frame, codec: str, **options: object) -> Frame:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, codec, **options)
    buffer.seek(0)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))


def _jpeg(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Baseline JPEG, 4:2:0, quality from 95 to 5 in equal ratios."""
    quality = round(_blend_geometric(95, 5, severity))
    return _recode(frame, "JPEG", quality=quality, subsampling=2)


def _webp(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Lossy WebP, quality 90 x (1 - severity)^1.5."""
    return _recode(frame, "WEBP", quality=round(90 * (1 - severity) ** 1.5), method=2)


def _jpeg2000(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Irreversible JPEG 2000, one layer, compressed 4 to 200 times in equal ratios."""
    rate = _blend_geometric(4, 200, severity)
    return _recode(
        frame, "JPEG2000", irreversible=True, quality_mode="rates", quality_layers=[rate]
    )


def _resize(image: Image.Image, size: tuple[int, int], method: Image.Resampling) -> Image.Image:
    return image.resize((max(1, size[0]), max(1, size[1])), method)


def _downscale(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Bicubic (antialiased) to 1 / 8^severity of the size and bicubic up again."""
    height, width = frame.shape[:2]
    factor = 8.0**severity
    small = (round(width / factor), round(height / factor))
    image = _resize(Image.fromarray(frame), small, Image.Resampling.BICUBIC)
    return np.asarray(_resize(image, (width, height), Image.Resampling.BICUBIC))


def _pixelation(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Mean over blocks of about 12^severity pixels, shown as blocks."""
    height, width = frame.shape[:2]
    factor = 12.0**severity
    small = (round(width / factor), round(height / factor))
    image = _resize(Image.fromarray(frame), small, Image.Resampling.BOX)
    return np.asarray(_resize(image, (width, height), Image.Resampling.NEAREST))


def _expose(frame: Frame, stops: float) -> Frame:
    """Multiply linear light by 2^stops (display gamma taken as 2.2) and clip."""
    return _to_frame(_to_pixels(frame) * np.float32(2.0 ** (stops / 2.2)))


def _overexposure(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Up to 3.5 stops more light; highlights clip."""
    return _expose(frame, 3.5 * severity)


def _underexposure(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Up to 4.5 stops less light; shadows lose their levels to 8-bit rounding."""
    return _expose(frame, -4.5 * severity)


def _low_contrast(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Pull every pixel towards the frame's mean grey, by up to 85 %."""
    pixels = _to_pixels(frame)
    grey = pixels.mean(dtype=np.float64)
    return _to_frame((pixels - grey) * np.float32(1 - 0.85 * severity) + np.float32(grey))


def _colour_quantisation(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """From 64 to 3 evenly spaced levels in each channel, no dithering."""
    steps = _blend_geometric(64, 3, severity) - 1
    return _to_frame(np.rint(_to_pixels(frame) * np.float32(steps)) / np.float32(steps))


def _oversharpening(frame: Frame, severity: float, rng: np.random.Generator) -> Frame:
    """Unsharp mask of radius 1.5 pixels and amount 6 x severity: halos along edges."""
    pixels = _to_pixels(frame)
    return _to_frame(pixels + np.float32(6 * severity) * (pixels - _blur(pixels, 1.5)))


KINDS: dict[str, Callable[[Frame, float, np.random.Generator], Frame]] = {
    "gaussian_blur": _gaussian_blur,
    "defocus_blur": _defocus_blur,
    "motion_blur": _motion_blur,
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "jpeg": _jpeg,
    "webp": _webp,
    "jpeg2000": _jpeg2000,
    "downscale": _downscale,
    "pixelation": _pixelation,
    "overexposure": _overexposure,
    "underexposure": _underexposure,
    "low_contrast": _low_contrast,
    "colour_quantisation": _colour_quantisation,
    "oversharpening": _oversharpening,
}
