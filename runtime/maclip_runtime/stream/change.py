"""How far the views of a frame have moved, measured on thumbnails.

A frame is averaged in cells of 16 x 16 pixels once, and every view has a thumbnail of 14 x 14 cells: a
window those it covers (windows overlap and share them), the global view a choice from the whole frame. A
cell has two numbers: its brightness, and its fine detail, the mean difference of neighbouring pixels.
Defocus shows in the latter alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Floats, Frame

CELL = 16  # pixels; divides the published size 224 and stride 128
_LINES = (0, 8)  # in each cell these lines and those below them are read: a quarter of the pixels

# What counts as a change of 1: a brightness of 32 in 0..255, or as much detail again as there was. A little
# is added to the detail so that noise in a plain surface does not count for much.
_BRIGHTNESS_UNIT = np.float32(32)
_DETAIL_FLOOR = np.float32(8)


def measure_cells(frame: Frame) -> Floats:
    """Brightness and detail of a frame's cells, `[2, H // 16, W // 16]`, both in 0..255 or a little above.

    Detail is the mean absolute difference to the pixel on the right plus that to the pixel below.
    """
    rows, columns = frame.shape[0] // CELL, frame.shape[1] // CELL
    lines = frame[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns * CELL * 3)
    upper = lines[:, _LINES]
    lower = lines[:, [line + 1 for line in _LINES]]
    across = np.zeros_like(upper)  # the last pixel of a line has no neighbour
    across[..., :-3] = _difference(upper[..., 3:], upper[..., :-3])
    brightness = _average(upper, rows, columns)
    detail = _average(across, rows, columns) + _average(_difference(upper, lower), rows, columns)
    return np.stack([brightness, detail])


def _difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """|first - second| without leaving eight bits."""
    return np.maximum(first, second) - np.minimum(first, second)


def _average(lines: NDArray[np.uint8], rows: int, columns: int) -> Floats:
    """Mean of each cell, `[rows, columns]`, of its lines `[rows, lines, columns * 48]`."""
    total = lines.sum(axis=1, dtype=np.uint16).astype(np.float32)
    # A product with ones is several times as fast as a sum over a short last axis. What it adds are whole
    # numbers below 2^24, so that the turns do not depend on the order in which a machine adds them.
    sums = total.reshape(rows * columns, 3 * CELL) @ np.ones(3 * CELL, np.float32)
    return (sums / np.float32(3 * CELL * len(_LINES))).reshape(rows, columns)


def cut_thumbnails(cells: Floats, geometry: ViewGeometry, grid: tuple[int, int]) -> Floats:
    """The views' thumbnails `[V, 2, n, n]` from a frame's cells; n = 14 with the published windows.

    A window that does not begin at a cell's edge gets the cells nearest to it: they only rank views.
    """
    side = max(1, geometry.size // CELL)
    thumbnails = np.empty((grid[0] * grid[1] + 1, 2, side, side), np.float32)
    for index in range(len(thumbnails) - 1):
        row, column = divmod(index, grid[1])
        top, left = row * geometry.stride // CELL, column * geometry.stride // CELL
        thumbnails[index] = cells[:, top : top + side, left : left + side]
    rows, columns = (np.linspace(0, length - 1, side).astype(np.intp) for length in cells.shape[1:])
    thumbnails[-1] = cells[:, rows[:, None], columns]
    return thumbnails


def measure_change(before: Floats, after: Floats) -> Floats:
    """How far each view has moved, `[V]`, from two sets of thumbnails.

    About 0.02 is sensor noise, 0.1 a defocus that shows, 1 and more another picture.
    """
    moved = np.abs(after - before).reshape(*before.shape[:2], -1)
    detail = np.minimum(before[:, 1], after[:, 1]).reshape(len(before), -1)
    moved[:, 0] /= _BRIGHTNESS_UNIT
    moved[:, 1] /= detail + _DETAIL_FLOOR
    return moved.sum(axis=1).mean(axis=1)


def measure_detail(thumbnails: Floats) -> Floats:
    """How much detail each view has, `[V]`: the mean logarithm, which falls with defocus."""
    return np.log1p(thumbnails[:, 1]).mean(axis=(1, 2))
