"""Reading sources in the background: a thread a source, so that a slow one holds up no other.

From a live source the newest frame is kept and older ones are dropped and counted; of everything
else each frame is kept, and the reader waits. A lost camera is tried again with growing pauses.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from maclip_runtime.errors import MaclipError, SourceError
from maclip_runtime.sources.raw import RawFormat
from maclip_runtime.sources.sampling import ALL_FRAMES, Sampling
from maclip_runtime.sources.select import is_camera, open_source
from maclip_runtime.sources.source import (
    Ended,
    Item,
    Lost,
    Notice,
    NoticeKind,
    Reconnected,
    Source,
    SourceFrame,
    hide_password,
)

READ_AHEAD = 2  # frames that wait where none are dropped; one more is held until there is a place
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between two attempts to reconnect
_JOIN_TIMEOUT = 1.0


class SourceReader:
    """Reads one source in a thread and holds what nobody has taken yet, a few frames at most.

    `dropped`: frames replaced by newer ones so far. `up`: it is open, and not lost. `live`: only the
    newest frame is kept, None before it is known. Indices and times
    of frames go on over reconnects: times by the clock, from the first frame's.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Source],
        *,
        live: bool | None = None,
        changed: threading.Condition | None = None,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        """Start reading what `connect` opens (it raises SourceError).

        `live`: keep the newest frame only (True) or all (False); None asks the source. A file read
        live plays at its own speed. `changed` is notified when something can be taken; several
        readers may share it. `pause` waits for some seconds and says whether to give up; by default
        `close` wakes it.
        """
        self.name = name
        self.dropped: int = 0
        self.up: bool = False
        self.frame_rate: float | None = None
        self._connect = connect
        self.live = live
        self._changed = changed or threading.Condition()
        self._closed = threading.Event()
        self._pause = pause or self._closed.wait
        self._items: deque[Item] = deque()
        self._ended = False
        self._source: Source | None = None
        self._said: set[NoticeKind] = set()
        self._lost_at: float | None = None
        self._first_arrival: float | None = None
        self._next_index = 0
        self._last_time = 0.0
        self._thread = threading.Thread(target=self._run, name=f"read {name}", daemon=True)
        self._thread.start()

    @property
    def changed(self) -> threading.Condition:
        """Held to look, notified when something can be taken."""
        return self._changed

    @property
    def ended(self) -> bool:
        """Nothing can be taken any more."""
        with self._changed:
            return self._closed.is_set() or (self._ended and not self._items)

    def poll(self) -> Item | None:
        """What comes next, None if nothing is there now."""
        with self._changed:
            if self._closed.is_set() or not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def take(self, timeout: float | None = None) -> Item | None:
        """Wait for what comes next; None after `timeout` seconds, or once closed or ended."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed.is_set() or self._ended or bool(self._items), timeout
            )
            return self.poll()

    def stop(self) -> None:
        """Make the thread end soon, without waiting for it; of several readers, stop all, then close.

        May be called from a signal handler.
        """
        self._closed.set()
        with self._changed:
            source = self._source
            self._changed.notify_all()
        if source is not None:
            source.close()

    def close(self) -> None:
        """Stop, and wait for the thread: at most a second, since a server may be slow to answer."""
        self.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join(_JOIN_TIMEOUT)

    def __enter__(self) -> SourceReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        # What a defect of ours would leave behind; Python prints its traceback.
        error: MaclipError | None = SourceError(self.name, "reading it failed unexpectedly")
        try:
            self._read_connections()
            error = None
        except MaclipError as failure:
            error = failure
        finally:
            self.up = False
            with self._changed:
                self._ended = True
                self._put(Ended(error))

    def _read_connections(self) -> None:
        """Read the source to its end; a camera, connected again and again, until it is closed."""
        pauses = _growing_pauses()
        while not self._closed.is_set():
            try:
                source = self._connect()
            except SourceError as failure:
                if not (failure.transient or self._first_arrival is not None):
                    raise
                self._lose(failure.reason)
            else:
                before = self._next_index
                lost = self._read(source)
                # PyAV's containers and streams hold each other: without a collection, decoders of
                # tens of megabytes would pile up until Python happens to look for cycles.
                del source
                gc.collect()
                if not lost:
                    return
                if self._next_index > before:  # it did send frames
                    pauses = _growing_pauses()
            if self._pause(next(pauses)):
                return

    def _read(self, source: Source) -> bool:
        """Read a source that was opened to its end: whether it is lost, and to be opened again."""
        with self._changed:
            self._source = source
        self.frame_rate = source.frame_rate
        try:
            if not self._closed.is_set():  # closed while it was being opened
                self._read_frames(source)
        except SourceError as failure:
            if not source.live:
                raise
            self._lose(failure.reason)
            return True
        finally:
            with self._changed:
                self._source = None
            source.close()
        return False

    def _read_frames(self, source: Source) -> None:
        newest_only = self.live = source.live if self.live is None else self.live
        first_index, first_time = self._next_index, 0.0
        said_before = frozenset(self._said)  # on an earlier connection
        started: float | None = None
        for item in source:
            if isinstance(item, Notice):
                self._said.add(item.kind)
                if item.kind not in said_before:
                    self._put(item)
                continue
            if started is None:
                started = item.arrived - item.time
                if self._first_arrival is None:
                    self._first_arrival = item.arrived
                else:
                    first_time = max(item.arrived - self._first_arrival, self._last_time)
                self._arrive()
            if newest_only and not source.live:
                shown = started + item.time
                self._closed.wait(max(0.0, shown - time.monotonic()))
                item = replace(item, arrived=max(item.arrived, shown))
            index = first_index + item.index
            self._next_index = index + 1
            self._last_time = first_time + item.time
            frame = replace(item, index=index, time=self._last_time)
            self._put_frame(frame, newest_only)

    def _put(self, item: Item) -> None:
        with self._changed:
            if not self._closed.is_set():
                self._items.append(item)
            self._changed.notify_all()

    def _put_frame(self, frame: SourceFrame, newest_only: bool) -> None:
        with self._changed:
            if newest_only:
                waiting = [item for item in self._items if isinstance(item, SourceFrame)]
                for older in waiting:
                    self._items.remove(older)
                self.dropped += len(waiting)
            else:
                self._changed.wait_for(
                    lambda: self._closed.is_set() or len(self._items) < READ_AHEAD
                )
            self._put(frame)

    def _lose(self, reason: str) -> None:
        """Say it once, however many attempts fail after it."""
        self.up = False
        if self._lost_at is None and not self._closed.is_set():
            self._lost_at = time.monotonic()
            self._put(Lost(reason))

    def _arrive(self) -> None:
        self.up = True
        if self._lost_at is not None:
            self._put(Reconnected(time.monotonic() - self._lost_at))
            self._lost_at = None


def read_source(
    source: str,
    *,
    live: bool | None = None,
    frame_rate: float | None = None,
    raw_format: RawFormat | None = None,
    sampling: Sampling = ALL_FRAMES,
    changed: threading.Condition | None = None,
) -> SourceReader:
    """Start reading a SOURCE, as `open_source` takes it; that it cannot be opened is in its `Ended`."""
    if live is None and is_camera(source):
        live = True  # known before it is open, which a camera may not be for long
    connect = partial(
        open_source, source, frame_rate=frame_rate, raw_format=raw_format, sampling=sampling
    )
    return SourceReader(hide_password(source), connect, live=live, changed=changed)


def read_in_turns(
    readers: Sequence[SourceReader], *, may_wait: Callable[[], bool] = lambda: True
) -> Iterator[tuple[SourceReader, Item] | None]:
    """What several readers have, each in its turn, until all have ended or are closed.

    The readers share one `changed`. One that always has a frame ready does not come before its turn.
    may_wait: where nothing is there now, whether to wait for it, or to yield None.
    """
    changed = readers[0].changed
    if any(reader.changed is not changed for reader in readers):
        raise ValueError("readers that are read in turns share one condition `changed`")
    turn = 0
    while True:
        with changed:
            item, place = None, turn
            while item is None:
                if all(reader.ended for reader in readers):
                    return
                for step in range(len(readers)):
                    place = (turn + step) % len(readers)
                    item = readers[place].poll()
                    if item is not None:
                        break
                else:
                    if not may_wait():
                        break
                    changed.wait()
        if item is None:
            yield None
            continue
        turn = (place + 1) % len(readers)
        yield readers[place], item


def _growing_pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)
