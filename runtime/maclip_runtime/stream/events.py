"""Events of a stream: alerts on its score, with hysteresis, scenes, and losses of its source.

An event begins or ends. There is no clock here: the same readings at the same times give the same events.

**Below a threshold** S. An alert begins when every score of T seconds was below S, and ends when every
score of T seconds was at S + 0.02 or above. So a score that wavers around S gives one alert.

**A drop** of D. The reference is a running mean of the score over a minute. An alert begins when every
score of a second was more than D below it; meanwhile the reference stands still. It ends when every score
of a second has come back by half of D or more.

A cut to another scene is no fault of the lens: a second after a scene began, the reference begins anew.
Unless most fine detail is gone: that is how a covered or suddenly defocused lens differs from another
scene, so then the reference stays, and the drop is judged against it. A fade to black looks the same.

Both alerts are one: it begins with the first rule that fires and ends when neither does. A reading of
which less than half of the views are fresh, just after a cut, says nothing about either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from maclip_runtime.errors import UsageError
from maclip_runtime.stream.stream import Reading
from maclip_runtime.vocabulary import EventName

MARGIN = 0.02  # of the score: turned scores are within this of exact ones after an event
DROP_SECONDS = (
    1.0  # how long a drop must last, and how long a scene is watched before it counts as one
)
REFERENCE_SECONDS = 60.0
_COVERED = 0.5  # of the detail before: less is a covered or defocused lens
_ENOUGH_FRESH = 0.5


@dataclass(frozen=True)
class Event:
    """Something that begins or ends; `reason` in words, empty where the name says it all."""

    name: EventName
    reason: str = ""


@dataclass(frozen=True)
class AlertRules:
    """When to alert: `below` this score for `after` seconds, or after a sudden `drop` of this much.

    None: never. quantity: what is below, one of a reading's `quantities`; a drop is the score's. Raises
    UsageError for what cannot be.
    """

    below: float | None = None
    after: float = 2.0
    drop: float | None = None
    quantity: str = "score"

    def __post_init__(self) -> None:
        if self.below is not None and not math.isfinite(self.below):
            raise UsageError(f"an alert below {self.below}: give a score")
        if not (self.after >= 0 and math.isfinite(self.after)):
            raise UsageError(f"an alert after {self.after} seconds: give 0 or more")
        if self.drop is not None and not (self.drop > 0 and math.isfinite(self.drop)):
            raise UsageError(f"an alert at a drop of {self.drop}: give a difference above 0")


class Events:
    """The events of one stream, fed with its readings in order. `alert`: one is going on."""

    def __init__(self, rules: AlertRules) -> None:
        self.alert: bool = False
        self._below = (
            None if rules.below is None else _Below(rules.below, rules.after, rules.quantity)
        )
        self._drop = None if rules.drop is None else _Drop(rules.drop)
        self._begun = False

    def read(self, reading: Reading) -> list[Event]:
        """What begins or ends with a reading, alerts first. The first scene of a stream is no event."""
        events = []
        reasons = [
            rule.read(reading) for rule in (self._below, self._drop) if rule is not None
        ]  # every rule sees every reading
        reason = next((reason for reason in reasons if reason), "")
        if bool(reason) != self.alert:
            self.alert = bool(reason)
            ended = f"score {reading.score:.3f}"
            events.append(Event("alert", reason) if reason else Event("recovered", ended))
        if reading.scene and self._begun:
            events.append(Event("scene"))
        self._begun = True
        return events

    def lose(self, reason: str) -> Event:
        """The source is lost: what has lasted until now does not go on lasting; an alert stays."""
        for rule in (self._below, self._drop):
            if rule is not None:
                rule.held.end()
        return Event("lost", reason)

    def reconnect(self, after: float) -> Event:
        """The source is back, `after` seconds later."""
        return Event("reconnected", f"after {after:.1f} s")


class _Held:
    """Whether something has been so without a break for some seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: float | None = None

    def update(self, holds: bool, time: float) -> bool:
        if not holds:
            self._since = None
            return False
        if self._since is None:
            self._since = time
        return time - self._since >= self.seconds - 1e-6  # times are rounded

    def end(self) -> None:
        self._since = None


class _Below:
    """A quantity is below a threshold for some seconds."""

    def __init__(self, threshold: float, seconds: float, quantity: str) -> None:
        self._threshold, self._quantity = threshold, quantity
        self.held = _Held(seconds)
        self._reason = ""

    def read(self, reading: Reading) -> str:
        """Why there is an alert, empty if there is none."""
        if reading.fresh < _ENOUGH_FRESH:
            return self._reason
        value = reading.quantities[self._quantity]
        if self._reason:
            ends = value >= self._threshold + MARGIN
            if self.held.update(ends, reading.time):
                self._reason = ""
                self.held.end()
        elif self.held.update(value < self._threshold, reading.time):
            lasting = f" for {self.held.seconds:g} s" if self.held.seconds else ""
            self._reason = f"{self._quantity} {value:.3f}, below {self._threshold:g}{lasting}"
            self.held.end()
        return self._reason


class _Drop:
    """The score is suddenly below what it was, and it is not just another scene."""

    def __init__(self, drop: float) -> None:
        self._drop = drop
        self.held = _Held(DROP_SECONDS)
        self._reason = ""
        self._score, self._detail = _Mean(), _Mean()
        self._scene: float | None = None  # when the scene began that is not decided on yet

    def read(self, reading: Reading) -> str:
        """Why there is an alert, empty if there is none."""
        if reading.scene:
            self._scene = reading.time
        if reading.fresh < _ENOUGH_FRESH:
            return self._reason
        settling = self._scene is not None and reading.time - self._scene < DROP_SECONDS - 1e-6
        if self._scene is not None and not settling:
            self._scene = None
            if self._detail.value is None or reading.detail >= _COVERED * self._detail.value:
                self._begin_anew()
        reference = self._score.value
        if reference is None:
            self._follow(reading)
        elif self._reason:
            back = reading.score > reference - self._drop / 2
            if self.held.update(back, reading.time):
                self._reason = ""
                self.held.end()
        else:
            low = reading.score < reference - self._drop
            if self.held.update(low, reading.time) and not settling:
                self._reason = f"score {reading.score:.3f}, dropped from {reference:.3f}"
                self.held.end()
            elif not low and not settling:
                self._follow(reading)
        return self._reason

    def _follow(self, reading: Reading) -> None:
        self._score.add(reading.score, reading.time)
        self._detail.add(reading.detail, reading.time)

    def _begin_anew(self) -> None:
        self._score, self._detail = _Mean(), _Mean()
        self._reason = ""
        self.held.end()


class _Mean:
    """A running mean over time: plain at first, forgetting what is older than a minute."""

    def __init__(self) -> None:
        self.value: float | None = None
        self._count = 0
        self._last = 0.0

    def add(self, value: float, time: float) -> None:
        self._count += 1
        if self.value is None:
            self.value = value
        else:
            part = 1 - math.exp(-max(0.0, time - self._last) / REFERENCE_SECONDS)
            self.value += max(part, 1 / self._count) * (value - self.value)
        self._last = time
