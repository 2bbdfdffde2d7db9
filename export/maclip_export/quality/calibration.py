"""Pictures for INT8: some to measure ranges on, others, degraded, to see whether the ranking holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maclip_export.errors import CalibrationError
from maclip_export.quality.distortions import KINDS, distort
from maclip_export.quality.frames import limit_side
from maclip_runtime.errors import PictureError
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Frame, Pixels
from maclip_runtime.method.views import iterate_views
from maclip_runtime.sources.paths import list_pictures
from maclip_runtime.sources.preparation import prepare_frame

_MOST_MEASURED = 16  # in five versions each: 12, 32 and 96 frames gave rankings alike
_MOST_RANKED = 6  # pictures held back for the ranking, each in some 30 versions
_LONGEST_SIDE = 640  # of them, in pixels: 13 views, which bounds the time
_VIEWS = 4  # of each calibration frame
_SEVERITIES = (0.4, 1.0)


@dataclass(frozen=True)
class CalibrationSet:
    """Two disjoint lists of pictures: `measured` gives the ranges, `ranked` the verdict."""

    measured: tuple[Frame, ...]
    ranked: tuple[Frame, ...]


def read_calibration(directory: Path, geometry: ViewGeometry) -> CalibrationSet:
    """Pictures from all over a directory, some of them held back; CalibrationError if there are too few."""
    if not directory.is_dir():
        raise CalibrationError(f"{directory}: no such directory of calibration pictures")
    frames = []
    for path in _spread(list_pictures(directory, recursive=True), _MOST_MEASURED + _MOST_RANKED):
        try:
            frame = prepare_frame(path, "native", geometry.size).pixels
        except PictureError as error:
            raise CalibrationError(f"{error}; take it out of the calibration pictures") from None
        frames.append(limit_side(frame, _LONGEST_SIDE, shortest=geometry.size))
    ranked = frames[1::2][:_MOST_RANKED]
    held_back = {id(frame) for frame in ranked}
    measured = [frame for frame in frames if id(frame) not in held_back]
    if not ranked:
        raise CalibrationError(
            f"{directory}: calibration needs at least 2 pictures, better 22, such as the encoder will see"
        )
    return CalibrationSet(tuple(measured), tuple(ranked))


def draw_calibration_views(pictures: CalibrationSet, geometry: ViewGeometry) -> list[Pixels]:
    """Views `[4, 3, S, S]` of each measured picture, as it is and in four degraded versions.

    Degraded ones are among them because the encoder will see them, and ranges cut from good pictures
    alone would clip there.
    """
    rng = np.random.default_rng(0)
    batches = []
    for number, picture in enumerate(pictures.measured):
        for version in range(5):
            frame = picture
            if version:
                kind = list(KINDS)[(4 * number + version) % len(KINDS)]
                frame = distort(picture, kind, float(rng.uniform(0.2, 1)), seed=number)
            views = np.concatenate(list(iterate_views(frame, geometry, 16)))
            # The global view, and windows from anywhere.
            chosen = rng.choice(len(views) - 1, min(_VIEWS - 1, len(views) - 1), replace=False)
            batches.append(views[[*chosen, -1]])
    return batches


def degrade_ranked(pictures: CalibrationSet) -> Iterator[Frame]:
    """The held-back pictures, each as it is and through every kind of distortion at two severities."""
    for number, picture in enumerate(pictures.ranked):
        yield picture
        for kind in KINDS:
            for severity in _SEVERITIES:
                yield distort(picture, kind, severity, seed=number)


def _spread(paths: list[Path], most: int) -> list[Path]:
    """At most that many of the paths, at even distances."""
    count = min(len(paths), most)
    return [paths[index * len(paths) // count] for index in range(count)]
