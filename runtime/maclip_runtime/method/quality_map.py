"""Quality maps: where in a frame a quantity is high or low, from its values per window.

Windows are larger than their stride, so most pixels were seen by several of them. The map blends the
windows that saw a place, each by how near its centre is: kernel regression (Nadaraya, 1964; Watson,
1964) with a separable Hann kernel as wide as a window, which is also the window of weighted
overlap-add (Griffin and Lim, 1984). Its weight is 0 on the window's border, so no window speaks about
what it has not seen, the map has no seams, and there is no width to choose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Floats


@dataclass(frozen=True)
class QualityMap:
    """A quantity over a frame: `values` float32 `[rows, columns]`, and how it lies over the picture.

    The cell in row r and column c covers the `cell` x `cell` pixels of the prepared frame from
    `(c * cell, r * cell)` on; the map begins at the frame's top left, as the windows do, and ends where
    they end. `frame_size` and `picture_size` are (height, width) of the frame that was scored and of
    the picture it came from: they differ with presets, and where a small picture was enlarged.
    `quantity` names what the values are: "score", "similarity", "magnitude" or an attribute.
    """

    values: Floats
    quantity: str
    cell: int
    frame_size: tuple[int, int]
    picture_size: tuple[int, int]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the map in pixels of the picture."""
        rows, columns = self.values.shape
        vertical, horizontal = (
            p / f for p, f in zip(self.picture_size, self.frame_size, strict=True)
        )
        return 0.0, 0.0, columns * self.cell * horizontal, rows * self.cell * vertical

    @property
    def seen(self) -> float:
        """The part of the frame that windows cover, in 0..1; only the global view sees the rest."""
        rows, columns = self.values.shape
        height, width = self.frame_size
        return rows * columns * self.cell**2 / (height * width)


def blend_windows(
    values: Floats,
    geometry: ViewGeometry,
    frame_size: tuple[int, int],
    *,
    quantity: str = "score",
    picture_size: tuple[int, int] | None = None,
) -> QualityMap:
    """The map of a frame from its windows' values `[V - 1]`, row by row, the global view left out.

    frame_size: (height, width) of the prepared frame; picture_size: of the picture, by default the
    same. Cells have a side of gcd(S, T), 32 pixels for the published geometry, so that every window is
    a whole number of them. The map of equal values is that value exactly, no cell lies outside the
    range of the values, and mirrored values give the mirrored map. ValueError if there are not as many
    values as the frame has windows.
    """
    rows, columns = geometry.grid(*frame_size)
    if values.shape != (rows * columns,):
        raise ValueError(
            f"{rows} x {columns} windows need {rows * columns} values, not {values.shape}"
        )
    cell = math.gcd(geometry.size, geometry.stride)
    # Blending what exceeds the minimum keeps constants exact.
    lowest, highest = values.min(), values.max()
    excess = (values - lowest).astype(np.float64).reshape(rows, columns)
    down, across = (_weigh_windows(count, geometry, cell) for count in (rows, columns))
    blended = (lowest + down @ excess @ across.T).astype(np.float32)
    return QualityMap(
        np.clip(blended, lowest, highest), quantity, cell, frame_size, picture_size or frame_size
    )


def _weigh_windows(count: int, geometry: ViewGeometry, cell: int) -> NDArray[np.float64]:
    """Weight of each of `count` windows in each cell along one axis, `[cells, count]`; rows sum to 1."""
    cells = ((count - 1) * geometry.stride + geometry.size) // cell
    place = (np.arange(cells) + 0.5) * cell
    centre = np.arange(count) * geometry.stride + geometry.size / 2
    distance = np.abs(place[:, None] - centre) / geometry.size
    weight = np.where(distance < 0.5, np.cos(np.pi * distance) ** 2, 0)
    return weight / weight.sum(axis=1, keepdims=True)
