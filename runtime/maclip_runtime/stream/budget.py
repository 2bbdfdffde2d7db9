"""How many views to encode a frame so that a stream keeps up: N from measured times.

The rule. Frames are timed in rounds of ten; a round's time t is the second longest of them, so that one
hiccup is not heeded. The budget B is the time from one frame to the next.

- Where t > B, N falls to what 0.8 B allows, N * 0.8 B / t. From then on twice as many rounds, at most 32,
  must pass before N may rise.
- When so many rounds have passed, N rises to N * 0.8 B / t, with the longest t among them, if that is a
  tenth more or above.

It settles. A part of t does not depend on N, so that more views take less than in proportion: after a rise
t is at most 0.8 B, far from a reason to fall. Where times are so noisy that a rise is taken back, the next
one must be right for twice as many rounds.
"""

from __future__ import annotations

import math

import numpy as np

_ROUND = 10  # frames
_AIM = 0.8  # of the budget
_MOST_ROUNDS = 32
_WORTH_IT = 1.1  # times N: less is no reason to rise


class ViewBudget:
    """The number of views a frame, `count`, that the times allow; 1 until the first round is over.

    seconds: the budget of a frame. By default the usual time between frames: the shortest median of all
    rounds, since a source that drops frames makes them look further apart. share: the part of that time
    which this stream may use.
    """

    def __init__(self, seconds: float | None = None, share: float = 1.0) -> None:
        self.count: int = 1
        self._given = seconds
        self._share = share
        self._interval = math.inf
        self._last: float | None = None  # time of the frame before
        self._intervals: list[float] = []
        self._costs: list[float] = []
        self._patience = 1  # rounds before N may rise
        self._rounds = 0  # since N changed
        self._longest = 0.0  # of the rounds that count towards a rise

    @property
    def seconds(self) -> float | None:
        """The budget of a frame, or None while it is not known."""
        if self._given is not None:
            return self._given
        return self._interval * self._share if math.isfinite(self._interval) else None

    def record(self, time: float, cost: float, views: int) -> None:
        """Note a frame's time and what it cost, both in seconds, and find N anew where a round is over.

        views: V, which N does not exceed.
        """
        if self._last is not None and time > self._last:
            self._intervals.append(time - self._last)
        self._last = time
        self.count = min(self.count, views)
        self._costs.append(cost)
        if len(self._costs) < _ROUND:
            return
        if self._intervals:
            self._interval = min(self._interval, float(np.median(self._intervals)))
        cost = sorted(self._costs)[-2]
        self._costs, self._intervals = [], []
        if self.seconds is not None:
            self._conclude(cost, self.seconds, views)

    def _conclude(self, cost: float, budget: float, views: int) -> None:
        self._rounds += 1
        self._longest = max(self._longest, cost)
        if cost > budget and self.count > 1:
            self._patience = min(2 * self._patience, _MOST_ROUNDS)
            self._change(max(1, self._allow(cost, budget)))
        elif self._rounds >= self._patience:
            allowed = min(self._allow(self._longest, budget), views)
            self._change(allowed if allowed >= _WORTH_IT * self.count else self.count)

    def _allow(self, cost: float, budget: float) -> int:
        """The views that fit into what is aimed at, were all of the cost in proportion to them."""
        return int(self.count * _AIM * budget / max(cost, 1e-9))

    def _change(self, count: int) -> None:
        self.count = count
        self._rounds, self._longest = 0, 0.0
