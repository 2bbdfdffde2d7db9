"""Training data: ladders of one crop at growing severities, cut into views as the runtime cuts them.

A ladder is LEVELS versions of one crop, the first pristine, under one kind of distortion; some crops
get a second, fixed distortion on every version but the first, so that kinds are seen together. Of
each version two views are kept, a window and either another window or the global view.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maclip_export.quality.distortions import distort
from maclip_export.quality.frames import limit_side
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Frame, resize_to_view
from pictures import MINIMUM_TEXTURE, WINDOW, load_pictures, measure_texture
from procedural import draw_leaves

LEVELS = 4
VIEWS = 2
GLOBAL_SHARE = 0.3  # a frame has one global view among many windows, but small frames few windows
DRAWN_SHARE = 0.25
COMBINED_SHARE = 0.2

# How strongly each trained kind, at severity 1, takes away each pair's attribute, in the order of
# the published prompt pairs: good, sharp, sharp edges, high resolution, noise-free.
ATTRIBUTES: dict[str, tuple[float, float, float, float, float]] = {
    "gaussian_blur": (1.0, 1.0, 1.0, 0.6, 0.0),
    "gaussian_noise": (1.0, 0.2, 0.3, 0.2, 1.0),
    "jpeg": (1.0, 0.5, 0.6, 0.8, 0.4),
    "downscale": (1.0, 0.8, 0.8, 1.0, 0.0),
    "overexposure": (1.0, 0.4, 0.4, 0.3, 0.2),
    "underexposure": (1.0, 0.4, 0.4, 0.3, 0.3),
    "low_contrast": (1.0, 0.6, 0.6, 0.3, 0.0),
    "pixelation": (1.0, 0.6, 0.5, 1.0, 0.1),
    "colour_quantisation": (1.0, 0.2, 0.3, 0.3, 0.4),
    "oversharpening": (1.0, 0.2, 0.5, 0.3, 0.4),
}
TRAINED_KINDS = tuple(ATTRIBUTES)
_SCHEDULE = (*TRAINED_KINDS, "jpeg")  # blocking is learned slowest and gets twice the ladders
_UNSCALED = ViewGeometry(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Pool:
    """G ladders on disk: `views` uint8 [G, LEVELS, VIEWS, 224, 224, 3] and `quality` float32
    [G, LEVELS, 5], what is left of each pair's attribute, in [0, 1].
    """

    views: NDArray[np.uint8]
    quality: NDArray[np.float32]


def build_pool(folder: Path, count: int, seed: int, cache: Path, processes: int = 2) -> Pool:
    """Make `count` ladders under `folder`, or open them if they are there already."""
    stem = folder / f"ladders-{count}x{LEVELS}x{VIEWS}-{seed}"
    quality_file, views_file = stem.with_suffix(".quality.npy"), stem.with_suffix(".views.npy")
    if not quality_file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shape = (count, LEVELS, VIEWS, WINDOW, WINDOW, 3)
        views = np.lib.format.open_memmap(views_file, mode="w+", dtype=np.uint8, shape=shape)
        quality = np.empty((count, LEVELS, len(ATTRIBUTES["jpeg"])), np.float32)
        seeds = [(seed, index) for index in range(count)]
        with multiprocessing.Pool(processes, _start_worker, (cache,)) as workers:
            for index, ladder in enumerate(workers.imap(_make_ladder, seeds, chunksize=8)):
                views[index], quality[index] = ladder
        views.flush()
        np.save(quality_file, quality)
    return Pool(np.load(views_file, mmap_mode="r"), np.load(quality_file))


_photographs: list[Frame] = []


def _start_worker(cache: Path) -> None:
    _photographs[:] = load_pictures("train", cache).values()


def _make_ladder(seed: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    crop, corners = _choose_crop(_photographs, rng)
    kind = _SCHEDULE[seed[1] % len(_SCHEDULE)]
    steps = (np.arange(LEVELS - 1) + rng.uniform(0, 1, LEVELS - 1)) / (LEVELS - 1)
    others = [other for other in TRAINED_KINDS if other != kind]
    second = str(rng.choice(others)) if rng.random() < COMBINED_SHARE else None
    second_severity = float(rng.uniform(0.1, 0.6))
    with_global = rng.random() < GLOBAL_SHARE
    views = np.empty((LEVELS, VIEWS, WINDOW, WINDOW, 3), np.uint8)
    quality = np.ones((LEVELS, len(ATTRIBUTES[kind])), np.float32)
    pattern = int(rng.integers(2**31))
    for level, severity in enumerate((0.0, *steps)):
        frame = crop
        if severity > 0 and second is not None:
            frame = distort(frame, second, second_severity, pattern + 1)
            quality[level] *= 1 - second_severity * np.array(ATTRIBUTES[second], np.float32)
        frame = distort(frame, kind, severity, pattern)
        quality[level] *= 1 - severity * np.array(ATTRIBUTES[kind], np.float32)
        for place, (y, x) in enumerate(corners):
            views[level, place] = frame[y : y + WINDOW, x : x + WINDOW]
        if with_global:
            views[level, -1] = np.rint(resize_to_view(frame, _UNSCALED) * 255)
    return views, quality


def _choose_crop(
    photographs: Sequence[Frame], rng: np.random.Generator
) -> tuple[Frame, list[tuple[int, int]]]:
    """A pristine crop, 256 to 720 pixels a side, and the corners of VIEWS windows in it.

    Every window passes the rule for flat pictures (measure_texture).
    """
    while True:
        height, width = (int(side) for side in rng.integers(256, 721, 2))
        if rng.random() < DRAWN_SHARE:
            frame = draw_leaves(height, width, photographs, rng)
        else:
            frame = photographs[int(rng.integers(len(photographs)))]
            longest = max(frame.shape)
            if longest > 700:  # any working resolution from a thumbnail to the full picture
                frame = limit_side(frame, round(np.exp(rng.uniform(np.log(480), np.log(longest)))))
        height, width = min(height, frame.shape[0]), min(width, frame.shape[1])
        y = int(rng.integers(frame.shape[0] - height + 1))
        x = int(rng.integers(frame.shape[1] - width + 1))
        crop = np.ascontiguousarray(frame[y : y + height, x : x + width])
        corners = []
        for _ in range(4 * VIEWS):
            y = int(rng.integers(height - WINDOW + 1))
            x = int(rng.integers(width - WINDOW + 1))
            if measure_texture(crop[y : y + WINDOW, x : x + WINDOW]) >= MINIMUM_TEXTURE:
                corners.append((y, x))
            if len(corners) == VIEWS:
                return crop, corners
