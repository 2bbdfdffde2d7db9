"""How a source that is watched is doing: what tables, metrics and summaries say about it."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from maclip_runtime.errors import MaclipError
from maclip_runtime.method.pixels import Frame
from maclip_runtime.stream.events import Event
from maclip_runtime.stream.stream import Reading
from maclip_runtime.vocabulary import EventName

TREND_SECONDS = 60  # of the source's time, a value a second
_RATE_SECONDS = 5.0  # frames a second are counted over so long


@dataclass(frozen=True)
class Observation:
    """One line of what is seen: a frame's reading, an event, or both.

    `frame` and `time` (seconds) are the source's own, None where there was no frame yet. `reading` is
    None where an event comes without a frame, or is the second one at its frame. `dropped`: frames
    of the source left out so far. `latency`: seconds from the frame's arrival to its reading.
    `pixels`: the frame itself, where there is a reading.
    """

    source: str
    frame: int | None
    time: float | None
    reading: Reading | None
    event: Event | None
    dropped: int
    latency: float | None
    pixels: Frame | None = field(default=None, repr=False, compare=False)


class SourceStatus:
    """What has become of one source so far; `note` takes in its observations in order.

    `last`: the last observation with a reading. `event`: the last event
    with its time. `error`: what ended it. Reading it from other threads is safe: they see a moment of it.
    """

    def __init__(self, name: str, is_up: Callable[[], bool]) -> None:
        self.name = name
        self.frames: int = 0
        self.dropped: int = 0
        self.events: Counter[EventName] = Counter()
        self.alert: bool = False
        self.last: Observation | None = None
        self.event: tuple[Event, float | None] | None = None
        self.lowest: tuple[float, float] | None = None  # score, time
        self.ended = False
        self.error: MaclipError | None = None
        self._is_up = is_up
        self._total = 0.0
        self._done: deque[float] = deque()  # when the latest frames were done
        self._trend: deque[float] = deque(maxlen=TREND_SECONDS)
        self._second: tuple[int, float, int] = (0, 0.0, 0)  # which, sum and count of its scores

    @property
    def up(self) -> bool:
        """It is open, and not lost."""
        return self._is_up()

    @property
    def mean(self) -> float | None:
        """The mean score of all frames, None before the first."""
        return self._total / self.frames if self.frames else None

    @property
    def frame_rate(self) -> float:
        """Frames a second that were scored in the last seconds; 0 once nothing comes."""
        now = time.monotonic()
        recent = [moment for moment in tuple(self._done) if moment > now - _RATE_SECONDS]
        return (len(recent) - 1) / max(now - recent[0], 1e-9) if len(recent) > 1 else 0.0

    @property
    def trend(self) -> Sequence[float]:
        """Mean scores of the latest seconds of the source's time, the newest last."""
        _, total, count = self._second
        return (*self._trend, *([total / count] if count else []))

    def summarise(self) -> str:
        """One line on the whole of it."""
        if self.mean is None or self.lowest is None:
            return f"{self.name}: no frames"
        low, when = self.lowest
        facts = [
            f"{self.name}: {self.frames} frames, score {self.mean:.4f}",
            f"lowest {low:.4f} at {when:.2f} s",
        ]
        counts = {
            "dropped": self.dropped,
            "alerts": self.events["alert"],
            "lost": self.events["lost"],
        }
        facts += [f"{name} {count}" for name, count in counts.items() if count]
        return ", ".join(facts)

    def note(self, observation: Observation) -> None:
        """Take in the next observation."""
        self.dropped = observation.dropped
        if observation.event is not None:
            name = observation.event.name
            self.events[name] += 1
            self.event = (observation.event, observation.time)
            if name in ("alert", "recovered"):
                self.alert = name == "alert"
        if observation.reading is not None:
            self._note_reading(observation, observation.reading)

    def _note_reading(self, observation: Observation, reading: Reading) -> None:
        self.last = observation
        self.frames += 1
        self._total += reading.score
        if self.lowest is None or reading.score < self.lowest[0]:
            self.lowest = (reading.score, reading.time)
        now = time.monotonic()
        while self._done and self._done[0] < now - _RATE_SECONDS:
            self._done.popleft()
        self._done.append(now)
        second, total, count = self._second
        if count and int(reading.time) != second:
            self._trend.append(total / count)
            total, count = 0.0, 0
        self._second = (int(reading.time), total + reading.score, count + 1)
