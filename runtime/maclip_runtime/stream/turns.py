"""Turns of views: which views of a frame to encode, and what the others are taken to be.

Each frame, N of the V views are encoded; a round is V / N frames. Who is next:

1. views that have waited for four rounds, the oldest first;
2. stale views, in an order that soon covers the whole frame;
3. the largest product of age and change since the last refresh, as far as it exceeds the others'.

A view is **stale** from the moment it changes suddenly (from one frame to the next much more than it has
lately) until it is encoded. When most views change suddenly at once, a **scene** begins, and all are stale.

The frame's values are the mean over all V views, of which

- one that was encoded now counts as it is;
- one that is fresh counts as it was at its last refresh, moved along with its detail: the views that are
  encoded show how far the values go with a change of detail, and the others are taken to have gone as far
  since. This is how a slow defocus is followed without a round's delay;
- one that is stale counts as the fresh windows around it.

With N = V every view is encoded, and the mean is the published score. Nothing here knows what the values
are or which engine made them. The same frames, counts and values give the same turns.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Floats, Frame
from maclip_runtime.stream.change import (
    cut_thumbnails,
    measure_cells,
    measure_change,
    measure_detail,
)

Views = NDArray[np.intp]

# Changes are in the unit of `measure_change`.
_SUDDEN = 0.15  # less than this from one frame to the next is never sudden
_SUDDEN_RATIO = 3.0  # sudden is this many times the view's motion of late
_MOTION_GAIN = 0.3  # of the newest frame in the motion of late
_MOST_NOISE = 0.25  # noise of a standard deviation of 40 in 0..255 moves photographs by less
_FLOOR_RISE = 1.02  # a frame: the estimate of the noise falls at once and rises slowly
_SCENE = 0.5  # the part of the views that changes suddenly when a scene begins
_FULL_CHANGE = 0.6  # a change from which on more does not matter
_CHANGE_WEIGHT = 1.0  # a view that changed fully is as urgent as an unchanged one of twice its age
_PATIENCE = 4  # rounds after which a view comes before all others

_FORGET = 0.6  # of the last frame's knowledge of what detail does to the values
_RIDGE = 0.005  # sum of squared changes of detail from which on something is concluded
_REACH = 1.0  # windows: how far a fresh window speaks for the stale ones around it
_FAR = 0.01  # how much it speaks for those further away


class Turns:
    """The turns of one stream of frames of one size.

    geometry: how frames are cut. height, width: of the frames, at least S on each side.
    """

    def __init__(self, geometry: ViewGeometry, height: int, width: int) -> None:
        self._geometry = geometry
        self._grid = geometry.grid(height, width)
        self.views: int = geometry.count(height, width)
        self._order = _order_views(self.views)
        self._nearness = _measure_nearness(self._grid)
        self._frame = 0
        self._refreshed = np.full(self.views, -1)  # the frame of each view's last refresh
        self._stale = np.ones(self.views, bool)
        self._now: Floats | None = None  # this frame's thumbnails
        self._then = np.empty(0, np.float32)  # each view's thumbnail at its last refresh
        # What noise alone moves a view from frame to frame, at most until there are two frames.
        self._floor = np.full(self.views, _MOST_NOISE, np.float32)
        self._motion = np.zeros(self.views, np.float32)
        self._values = np.empty(0, np.float32)  # [V, C]: each view's at its last refresh
        self._detail_by_value = np.empty(0, np.float32)  # [C]: sums of the least squares
        self._detail_squared = 0.0

    @property
    def fresh(self) -> float:
        """The part of the views, 0..1, that are not stale."""
        return 1 - float(self._stale.mean())

    @property
    def detail(self) -> float:
        """Fine detail of the last frame, the mean over its views; see `measure_cells`."""
        return 0.0 if self._now is None else float(self._now[:, 1].mean())

    @property
    def ages(self) -> Views:
        """Frames since each view was encoded, `[V]`; 0 in the last frame."""
        return self._frame - 1 - self._refreshed

    def choose(self, frame: Frame, count: int) -> tuple[Views, bool]:
        """The `count` views of the next frame to encode, ascending, and whether a scene begins with it.

        Every frame of the stream passes through here in its order. `settle` follows it, or does not
        where the views could not be encoded.
        """
        return self.choose_by_cells(measure_cells(frame), count)

    def choose_by_cells(self, cells: Floats, count: int) -> tuple[Views, bool]:
        """`choose` for a frame whose cells were measured already."""
        now = cut_thumbnails(cells, self._geometry, self._grid)
        if self._now is None:
            scene = True
            self._then = now.copy()
        else:
            scene = self._mark_stale(self._now, now)
        self._now = now
        return np.sort(self._rank_views(now, count)[:count]), scene

    def settle(self, chosen: Views, values: Floats) -> Floats:
        """Take in what the chosen views gave, `[n, C]`, and say what all are, `[V, C]`.

        The frame's values are the means of the columns.
        """
        assert self._now is not None, "choose comes first"
        if not self._values.size:
            self._values = np.zeros((self.views, values.shape[1]), np.float32)
            self._detail_by_value = np.zeros(values.shape[1], np.float32)
        moved = measure_detail(self._now) - measure_detail(self._then)
        known = ~self._stale[chosen]
        self._learn(moved[chosen][known], (values - self._values[chosen])[known])
        self._values[chosen] = values
        self._then[chosen] = self._now[chosen]
        self._refreshed[chosen] = self._frame
        self._stale[chosen] = False
        self._frame += 1
        moved[chosen] = 0
        slope = self._detail_by_value / np.float32(self._detail_squared + _RIDGE)
        return self._fill_stale(self._values + moved[:, None] * slope)

    def _mark_stale(self, before: Floats, now: Floats) -> bool:
        """Mark the views that change suddenly; all of them where a scene begins, which is returned."""
        step = measure_change(before, now)
        if not step.any():  # the same frame once more says nothing about noise
            return False
        self._floor = np.minimum(self._floor * np.float32(_FLOOR_RISE), step)
        step = step - self._floor
        sudden = step > np.maximum(_SUDDEN, _SUDDEN_RATIO * self._motion)
        if sudden.mean() > _SCENE:
            self._stale[:] = True
            return True
        self._stale |= sudden
        self._motion += np.float32(_MOTION_GAIN) * (step - self._motion)
        return False

    def _rank_views(self, now: Floats, count: int) -> Views:
        """All views, the most urgent first."""
        age = self._frame - self._refreshed
        change = np.maximum(measure_change(self._then, now) - self._floor, 0)
        # What moves all views alike, a defocus, is no reason to prefer those with the most detail.
        change = np.maximum(change - np.median(change), 0)
        urgency = age * (1 + _CHANGE_WEIGHT * np.minimum(change / _FULL_CHANGE, 1))
        urgency[self._stale] = np.inf
        waited = np.where(age > _PATIENCE * self.views / count, age, 0)
        return np.lexsort((self._order, -urgency, -waited))

    def _learn(self, moved: Floats, gone: Floats) -> None:
        """How far values go, `[n, C]`, when detail moves, `[n]`: least squares through 0, forgetting."""
        self._detail_by_value = np.float32(_FORGET) * self._detail_by_value + moved @ gone
        self._detail_squared = _FORGET * self._detail_squared + float(moved @ moved)

    def _fill_stale(self, values: Floats) -> Floats:
        """Replace the values of stale views by those of the fresh windows around them."""
        fresh = ~self._stale
        if not fresh.all():
            weights = self._nearness[np.ix_(self._stale, fresh)]
            weights /= weights.sum(axis=1, keepdims=True)
            values[self._stale] = weights @ values[fresh]
        return values


def _order_views(views: int) -> Views:
    """Each view's place in an order that soon covers the frame.

    First the global view, then the windows in steps of the golden section, each of which falls into one of
    the largest gaps that those before it left.
    """
    windows = views - 1
    step = max(1, round(windows * (math.sqrt(5) - 1) / 2))
    while math.gcd(step, windows) != 1:
        step += 1
    place = np.zeros(views, np.intp)
    place[(windows // 2 + step * np.arange(windows)) % windows] = 1 + np.arange(windows)
    return place


def _measure_nearness(grid: tuple[int, int]) -> Floats:
    """How much each view speaks for each other one, `[V, V]`: a Gaussian of the distance in the grid."""
    row, column = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    squared = (row[:, None] - row) ** 2 + (column[:, None] - column) ** 2
    views = len(row) + 1
    nearness = np.full((views, views), _FAR, np.float32)
    nearness[:-1, :-1] += np.exp(-squared / (2 * _REACH**2)).astype(np.float32)
    # The global view shows the frame at another scale, and speaks only where no window is fresh.
    nearness[:, -1] = 1e-3 * _FAR
    return nearness
