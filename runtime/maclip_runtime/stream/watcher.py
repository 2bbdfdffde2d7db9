"""Watching sources: several of them, one engine, and what is seen of each.

A thread a source decodes (`SourceReader`); here, in the caller's thread, the frames of all are scored, a
frame of each source in its turn. A GPU is given a frame of every source that has one before the first
result is waited for, so that their views can share a batch.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maclip_runtime.errors import FrameError, MaclipError, PictureError, UsageError
from maclip_runtime.method.pixels import Frame
from maclip_runtime.scorer import Scorer
from maclip_runtime.sources.raw import RawFormat
from maclip_runtime.sources.reader import SourceReader, read_in_turns, read_source
from maclip_runtime.sources.sampling import Sampling
from maclip_runtime.sources.source import (
    Ended,
    Item,
    Lost,
    Notice,
    Reconnected,
    SourceFrame,
    hide_password,
)
from maclip_runtime.stream.events import AlertRules, Event, Events
from maclip_runtime.stream.status import Observation, SourceStatus
from maclip_runtime.stream.stream import PendingReading, Reading, Stream
from maclip_runtime.vocabulary import ViewsPerFrame

FILE_VIEWS = 8  # views a frame where nothing waits: the same scores at every run


@dataclass(frozen=True)
class Remark:
    """Something a user should know about a source, beside its frames; said once."""

    source: str
    message: str


Seen = Observation | Remark | MaclipError


class Watcher:
    """Scores sources as their frames come, until they end or `stop` is called.

    sources: as `open_source` takes them, each once. views_per_frame: as for `Stream`; by default "auto" for
    live sources, and 8 for others, whose scores do not depend on the machine then. live: see
    `SourceReader`. every, rate: see `Sampling`. frame_rate, raw_format: see `open_source`.

    Iterating gives, once, Observations, Remarks, and the error of a source that failed. `statuses` are the
    sources' so far, in their order; `live` says whether a source is, as far as known. Close it, or use it
    in a `with` block.
    """

    def __init__(
        self,
        scorer: Scorer,
        sources: Sequence[str],
        *,
        views_per_frame: ViewsPerFrame | None = None,
        alerts: AlertRules | None = None,
        live: bool | None = None,
        every: int = 1,
        rate: float | None = None,
        frame_rate: float | None = None,
        raw_format: RawFormat | None = None,
    ) -> None:
        names = [hide_password(source) for source in sources]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"{twice}: given twice", "each source is watched once")
        # A CPU would only have frames wait that newer ones replace.
        self._together = 0 if scorer.engine.device is None else len(sources) - 1
        changed = threading.Condition()
        samplings = [Sampling(every, rate) for _ in sources]
        share = 1 / len(sources)
        self._watched = {}
        self.statuses: list[SourceStatus] = []
        for source, sampling in zip(sources, samplings, strict=True):
            reader = read_source(
                source,
                live=live,
                frame_rate=frame_rate,
                raw_format=raw_format,
                sampling=sampling,
                changed=changed,
            )
            watched = _Watched(reader, scorer, views_per_frame, share, alerts or AlertRules())
            self._watched[reader] = watched
            self.statuses.append(watched.status)

    @property
    def live(self) -> bool:
        """Whether there is a live source: it has no end, so that only its user ends it."""
        return any(reader.live for reader in self._watched)

    def __iter__(self) -> Iterator[Seen]:
        under_way: deque[_Watched] = deque()  # with a frame of each that the engine has
        for there in read_in_turns(list(self._watched), may_wait=lambda: not under_way):
            if there is None:
                yield from under_way.popleft().finish()
                continue
            reader, item = there
            watched = self._watched[reader]
            while watched in under_way:  # in whose turns the next frame follows on its last
                yield from under_way.popleft().finish()
            yield from watched.take(item)
            if watched.has_frame:
                under_way.append(watched)
            while len(under_way) > self._together:
                yield from under_way.popleft().finish()
        while under_way:
            yield from under_way.popleft().finish()

    def stop(self) -> None:
        """End the iteration soon; may be called from a signal handler or another thread."""
        for reader in self._watched:
            reader.stop()

    def close(self) -> None:
        """Stop, and free what the sources hold."""
        self.stop()
        for reader, watched in self._watched.items():
            reader.close()
            watched.stream.close()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Watched:
    """One source with its stream and events."""

    def __init__(
        self,
        reader: SourceReader,
        scorer: Scorer,
        views: ViewsPerFrame | None,
        share: float,
        alerts: AlertRules,
    ) -> None:
        self._reader = reader
        self._scorer = scorer
        self._views = views
        self._share = share
        self.status = SourceStatus(reader.name, lambda: reader.up)
        self.stream = self._open_stream()
        self._events = Events(alerts)
        self._at: tuple[int, float] | None = None  # frame and time
        self._back: list[Event] = []  # waits for the frame that it came with
        self._said: set[str] = set()
        self._begun: tuple[SourceFrame, PendingReading] | None = None

    @property
    def has_frame(self) -> bool:
        """Whether a frame is under way, which `finish` ends."""
        return self._begun is not None

    def _open_stream(self) -> Stream:
        views = self._views or ("auto" if self._reader.live else FILE_VIEWS)
        return Stream(self._scorer, views_per_frame=views, share=self._share)

    def take(self, item: Item) -> Iterator[Seen]:
        """What is to be said about the next thing that the source gave."""
        match item:
            case SourceFrame():
                yield from self._begin(item)
            case Notice():
                yield Remark(self._reader.name, item.message)
            case Lost():
                event = self._events.lose(item.reason)
                yield self._observe(None, event, None)
                yield self._remark(event)
            case Reconnected():
                self._back = [self._events.reconnect(item.after)]
            case Ended():
                self.status.ended, self.status.error = True, item.error
                if item.error is not None:
                    yield item.error

    def _begin(self, frame: SourceFrame) -> Iterator[Remark]:
        """Give a frame to the engine."""
        if self._at is None:  # whether the source is live is known only now
            self.stream = self._open_stream()
        self._at = (frame.index, frame.time)
        try:
            self._begun = frame, self.stream.submit(frame.pixels, frame.time)
        except (PictureError, FrameError) as error:
            yield from self._refuse(error)

    def finish(self) -> Iterator[Observation | Remark]:
        """What is to be said about the frame under way."""
        assert self._begun is not None
        (frame, pending), self._begun = self._begun, None
        try:
            reading = pending.result()
        except (PictureError, FrameError) as error:
            yield from self._refuse(error)
            return
        latency = time.monotonic() - frame.arrived
        events = [*self._back, *self._events.read(reading)]
        self._back = []
        yield self._observe(reading, events[0] if events else None, latency, frame.pixels)
        for event in events[1:]:
            yield self._observe(None, event, None)
        for event in events:
            if event.reason:
                yield self._remark(event)

    def _refuse(self, error: MaclipError) -> Iterator[Remark]:
        """Say once what is wrong with frames of a kind."""
        reason = error.reason if isinstance(error, PictureError) else str(error)
        if reason not in self._said:
            self._said.add(reason)
            yield Remark(self._reader.name, f"a frame cannot be scored: {reason}")

    def _remark(self, event: Event) -> Remark:
        at = "" if self._at is None else f" at {self._at[1]:.1f} s"
        return Remark(self._reader.name, f"{event.name}{at}: {event.reason}")

    def _observe(
        self,
        reading: Reading | None,
        event: Event | None,
        latency: float | None,
        pixels: Frame | None = None,
    ) -> Observation:
        frame, when = self._at or (None, None)
        seen = Observation(
            source=self._reader.name,
            frame=frame,
            time=when,
            reading=reading,
            event=event,
            dropped=self._reader.dropped,
            latency=latency,
            pixels=pixels,
        )
        self.status.note(seen)
        return seen
