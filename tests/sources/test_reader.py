"""Reading in the background: latest wins for cameras, nothing dropped for files, reconnecting."""

from __future__ import annotations

import gc
import queue
import threading
import time
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from footage import FRAMES, RATE, index_of, wait_for_end_of
from maclip_runtime.errors import MaclipError, SourceError, UsageError
from maclip_runtime.sources.reader import (
    READ_AHEAD,
    SourceReader,
    read_in_turns,
    read_source,
)
from maclip_runtime.sources.source import Ended, Lost, Notice, Reconnected, SourceFrame

PIXELS = np.zeros((2, 2, 3), np.uint8)
END = object()


class ScriptedSource:
    """A source whose frames, notices and losses the test hands over; `asked` counts what it gave."""

    def __init__(self, live: bool = True) -> None:
        self.name, self.live, self.frame_rate = "camera", live, 25.0
        self.script: queue.Queue[object] = queue.Queue()
        self.asked = threading.Semaphore(0)
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[SourceFrame | Notice]:
        index = 0
        while True:
            self.asked.release()
            step = self.script.get()
            if step is END or self.closed.is_set():
                return
            if isinstance(step, MaclipError):
                raise step
            if isinstance(step, Notice):
                yield step
                continue
            yield SourceFrame(index, float(step), PIXELS, time.monotonic())
            index += 1

    def close(self) -> None:
        self.closed.set()
        self.script.put(END)

    def send(self, *steps: object) -> None:
        """Hand over steps, and wait until the reader has dealt with each."""
        for step in steps:
            self.asked.acquire()
            self.script.put(step)
        self.asked.acquire()
        self.asked.release()


def take_all(reader: SourceReader) -> list[object]:
    """Everything until the end, which is the last."""
    items: list[object] = []
    while not items or not isinstance(items[-1], Ended):
        item = reader.take(timeout=60)
        assert item is not None
        items.append(item)
    return items


def lost(reason="gone"):
    return SourceError("camera", reason, transient=True)


def test_a_camera_keeps_the_newest_frame_and_counts_the_others():
    source = ScriptedSource()
    with SourceReader("camera", lambda: source) as reader:
        source.send(0.0, 0.1, 0.2)
        frame = reader.take(timeout=60)
        assert (frame.index, frame.time) == (2, 0.2)
        assert reader.dropped == 2
        assert reader.up
        source.send(0.3)
        assert reader.take(timeout=60).index == 3
        assert reader.dropped == 2
        assert reader.poll() is None


def test_a_notice_is_kept_while_frames_are_replaced():
    source = ScriptedSource()
    with SourceReader("camera", lambda: source) as reader:
        source.send(0.0, Notice("damaged", "a packet"), 0.1, 0.2)
        assert reader.take(timeout=60) == Notice("damaged", "a packet")
        assert reader.take(timeout=60).index == 2


def test_of_a_file_nothing_is_dropped_and_few_frames_wait():
    source = ScriptedSource(live=False)
    with SourceReader("file", lambda: source) as reader:
        for step in range(10):
            source.script.put(step / 10)
        source.script.put(END)
        for _ in range(READ_AHEAD + 1):
            source.asked.acquire()
        # What waits is full: the reader stands at the next frame until one is taken.
        assert not source.asked.acquire(blocking=False)
        items = take_all(reader)
        assert [item.index for item in items[:-1]] == list(range(10))
        assert items[-1] == Ended(None)
        assert reader.dropped == 0
        assert reader.take(timeout=60) is None
        assert reader.ended


def test_a_real_file_comes_through_whole(video):
    with read_source(str(video("a.mp4"))) as reader:
        items = take_all(reader)
    assert [index_of(item.pixels) for item in items[:-1]] == list(range(FRAMES))
    assert reader.frame_rate == RATE


def test_a_file_read_live_plays_at_its_own_speed(video):
    """Every frame waits for its time, so a consumer that only takes misses none or few."""
    with read_source(str(video("a.mp4", times=range(5))), live=True) as reader:
        frames = take_all(reader)[:-1]
    played = [frame.time for frame in frames]
    assert played[-1] == pytest.approx(4 / RATE)
    assert reader.dropped + len(frames) == 5


def test_a_lost_camera_is_tried_again_with_growing_pauses():
    first, second = ScriptedSource(), ScriptedSource()
    attempts = iter([first, *[lost("refused")] * 7, second])
    pauses = []

    def connect():
        attempt = next(attempts)
        if isinstance(attempt, SourceError):
            raise attempt
        return attempt

    def pause(seconds):
        pauses.append(seconds)
        return False

    with SourceReader("camera", connect, pause=pause) as reader:
        first.send(0.0)
        assert reader.take(timeout=60).index == 0
        first.script.put(lost("the connection ended"))
        assert reader.take(timeout=60) == Lost("the connection ended")
        second.send(0.0)
        back = reader.take(timeout=60)
        assert isinstance(back, Reconnected)
        assert back.after >= 0
        assert reader.up
        assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
        assert first.closed.is_set()


def test_pauses_start_again_once_frames_came():
    sources = [ScriptedSource() for _ in range(3)]
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        return False

    connections = iter(sources)
    with SourceReader("camera", lambda: next(connections), pause=pause) as reader:
        for source in sources[:2]:
            source.send(0.0)
            source.script.put(lost())
        sources[2].send(0.0)
        assert pauses == [1, 1]
        assert reader.up


def test_a_lost_connection_is_freed_before_the_next_is_made():
    """PyAV's objects hold each other in cycles, which Python would leave lying for a long time."""
    held = []
    freed = []

    def connect():
        source = ScriptedSource()
        source.itself = source
        source.script.put(lost())
        held.append(weakref.ref(source))
        return source

    def pause(_):
        freed.append(held[-1]() is None)
        return len(freed) == 3

    gc.disable()
    try:
        reader = SourceReader("cycles", connect, pause=pause)
        wait_for_end_of("read cycles")
    finally:
        gc.enable()
    assert freed == [True, True, True]
    reader.close()


def test_index_and_time_go_on_over_a_reconnect():
    first, second = ScriptedSource(), ScriptedSource()
    connections = iter([first, second])
    with SourceReader("camera", lambda: next(connections), pause=lambda _: False) as reader:
        first.send(0.0, 0.04)
        before = reader.take(timeout=60)
        first.script.put(lost())
        second.send(0.0)
        items = [reader.take(timeout=60) for _ in range(3)]
        assert [type(item) for item in items] == [Lost, Reconnected, SourceFrame]
        assert (before.index, items[2].index) == (1, 2)
        assert items[2].time > 0


def test_times_do_not_go_back_at_a_reconnect():
    """A camera may send what it has buffered faster than it plays."""
    first, second = ScriptedSource(), ScriptedSource()
    connections = iter([first, second])
    with SourceReader("camera", lambda: next(connections), pause=lambda _: False) as reader:
        first.send(0.0, 4000.0)
        before = reader.take(timeout=60)
        first.script.put(lost())
        second.send(0.0)
        after = [reader.take(timeout=60) for _ in range(3)][-1]
        assert after.time >= before.time == 4000.0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_in_a_source_is_no_quiet_end():
    def connect():
        raise ZeroDivisionError

    with SourceReader("camera", connect) as reader:
        ended = reader.take(timeout=60)
    assert str(ended.error) == "camera: reading it failed unexpectedly"


def test_a_notice_is_not_said_again_after_a_reconnect():
    first, second = ScriptedSource(), ScriptedSource()
    connections = iter([first, second])
    with SourceReader("camera", lambda: next(connections), pause=lambda _: False) as reader:
        first.send(Notice("damaged", "at 1 s"), 0.0)
        first.script.put(lost())
        second.send(Notice("damaged", "at 2 s"), 0.0)
        kinds = []
        while (item := reader.poll()) is not None:
            kinds.append(type(item))
        assert kinds == [Notice, Lost, Reconnected, SourceFrame]


def test_a_camera_that_is_not_there_yet_is_lost_first():
    source = ScriptedSource()
    attempts = iter([lost("refused"), None])

    def connect():
        attempt = next(attempts)
        if attempt is not None:
            raise attempt
        return source

    with SourceReader("camera", connect, pause=lambda _: False) as reader:
        assert reader.take(timeout=60) == Lost("refused")
        source.send(0.0)
        assert isinstance(reader.take(timeout=60), Reconnected)
        assert isinstance(reader.take(timeout=60), SourceFrame)


@pytest.mark.parametrize("error", [SourceError("camera", "no PyAV"), UsageError("no size")])
def test_an_error_that_trying_again_does_not_help_ends_it(error):
    def connect():
        raise error

    with SourceReader("camera", connect) as reader:
        assert reader.take(timeout=60) == Ended(error)
        assert not reader.up


def test_a_file_that_is_not_there_ends_with_its_error(tmp_path):
    with read_source(str(tmp_path / "none.mp4")) as reader:
        (ended,) = take_all(reader)
    assert "no such file" in str(ended.error)


def test_closing_wakes_a_pause_and_ends_the_thread():
    paused = threading.Event()

    def connect():
        paused.set()
        raise lost()

    reader = SourceReader("camera", connect)  # its first pause would last a second, and then two
    assert paused.wait(60)
    reader.close()
    assert reader.take() is None
    wait_for_end_of("read camera")


def test_closing_wakes_a_consumer_and_a_source_that_waits():
    source = ScriptedSource()
    reader = SourceReader("camera", lambda: source)
    taken = []
    consumer = threading.Thread(target=lambda: taken.append(reader.take()))
    consumer.start()
    source.asked.acquire()
    reader.close()
    consumer.join(60)
    assert taken == [None]
    assert source.closed.is_set()
    assert reader.ended


def test_a_source_that_opens_after_closing_is_closed():
    opening, go_on = threading.Event(), threading.Event()
    source = ScriptedSource()

    def connect():
        opening.set()
        go_on.wait(60)
        return source

    reader = SourceReader("camera", connect)
    assert opening.wait(60)
    reader.stop()
    go_on.set()
    assert source.closed.wait(60)


def test_taking_gives_up_after_a_time_out():
    source = ScriptedSource()
    with SourceReader("camera", lambda: source) as reader:
        assert reader.take(timeout=0) is None
        assert not reader.ended


def test_sources_take_turns():
    changed = threading.Condition()
    sources = [ScriptedSource(live=False) for _ in range(3)]
    readers = [
        SourceReader(f"file {place}", lambda source=source: source, changed=changed)
        for place, source in enumerate(sources)
    ]
    for source, count in zip(sources, (20, 3, 5), strict=True):
        for step in range(count):
            source.script.put(step / 10)
        source.script.put(END)
    seen = []
    for reader, item in read_in_turns(readers):
        if isinstance(item, SourceFrame):
            seen.append((reader.name, item.index))
    assert len(seen) == 28
    for name, count in (("file 0", 20), ("file 1", 3), ("file 2", 5)):
        assert [index for reader, index in seen if reader == name] == list(range(count))


def test_one_source_that_always_has_a_frame_does_not_go_before_its_turn():
    changed = threading.Condition()
    busy, other = ScriptedSource(), ScriptedSource()
    readers = [
        SourceReader("busy", lambda: busy, changed=changed),
        SourceReader("other", lambda: other, changed=changed),
    ]
    turns = read_in_turns(readers)
    busy.send(0.0)
    other.send(0.0)
    order = []
    for step in range(6):
        reader, _ = next(turns)
        order.append(reader.name)
        busy.send(float(step))
        other.send(float(step))
    assert order == ["busy", "other"] * 3
    for reader in readers:
        reader.close()
    assert list(turns) == []


def test_readers_that_wait_on_different_conditions_are_refused():
    readers = [SourceReader("camera", ScriptedSource), SourceReader("camera", ScriptedSource)]
    with pytest.raises(ValueError, match="share one condition"):
        next(read_in_turns(readers))
    for reader in readers:
        reader.close()
