"""GStreamer pipelines: whatever GStreamer can open, through PyGObject and an appsink.

`gst:PIPELINE` is a line of gst-launch-1.0 that ends before the sink. GStreamer converts the colours
(videoconvert follows the matrix and range of the caps). On a Jetson a CSI camera is, for example,

    gst:nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=30/1
        ! nvvidconv ! video/x-raw,format=BGRx
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from maclip_runtime.errors import SourceError
from maclip_runtime.method.pixels import Frame
from maclip_runtime.sources.sampling import ALL_FRAMES, Sampling
from maclip_runtime.sources.source import (
    SILENCE_TIMEOUT,
    Notice,
    Notices,
    SourceFrame,
    hide_password,
)
from maclip_runtime.sources.timeline import Timeline

if TYPE_CHECKING:
    from maclip_runtime.sources.raw import RawFormat

OPEN_TIMEOUT = 10.0  # seconds for a pipeline that is not live to show its first frame
_POLL = 0.1  # seconds that a wait for a frame lasts before it looks for errors
_SINK = (
    "videoconvert ! video/x-raw,format=RGB ! appsink name=maclip_frames sync=false max-buffers=2"
)


class GStreamerSource:
    """Frames of a pipeline. It is live if GStreamer says so (it has no preroll).

    Times are running times: seconds since the pipeline started. Rotation flags are left to the
    pipeline: `videoflip method=automatic` applies them.
    """

    def __init__(
        self,
        source: str,
        *,
        sampling: Sampling = ALL_FRAMES,
        silence_timeout: float = SILENCE_TIMEOUT,
    ) -> None:
        """Build and pause the pipeline; SourceError says why that cannot be done.

        A live pipeline that gives nothing for `silence_timeout` seconds is lost.
        """
        self.name: str = hide_password(source)
        self._sampling = sampling
        self._silence_timeout = silence_timeout
        self._closed = threading.Event()
        self._state = threading.Lock()  # nothing starts the pipeline again once it was closed
        self._gst, self._video, glib = _load_gstreamer(self.name)
        line = source.removeprefix("gst:").strip()
        try:
            self._pipeline = self._gst.parse_launch(f"{line} ! {_SINK}")
        except glib.Error as error:
            reason = f"GStreamer cannot build the pipeline: {_one_line(error.message)}"
            raise SourceError(self.name, reason) from None
        self._sink = self._pipeline.get_by_name("maclip_frames")
        self._bus = self._pipeline.get_bus()
        self.frame_rate: float | None = None
        self.live: bool = False
        try:
            self._preroll()
        except SourceError:
            self.close()
            raise

    def _preroll(self) -> None:
        states = self._gst.StateChangeReturn
        result = self._pipeline.set_state(self._gst.State.PAUSED)
        deadline = time.monotonic() + OPEN_TIMEOUT
        while result == states.ASYNC and time.monotonic() < deadline:
            result = self._pipeline.get_state(int(_POLL * self._gst.SECOND))[0]
            self._raise_error()
        self._raise_error()
        if result == states.FAILURE:
            raise SourceError(self.name, "GStreamer: the pipeline does not start")
        if result == states.ASYNC:
            raise SourceError(self.name, f"GStreamer: no frame within {OPEN_TIMEOUT:.0f} s")
        self.live = result == states.NO_PREROLL
        if self.live:  # the newest frame only; a file would lose frames this way
            self._sink.set_property("max-buffers", 1)
            self._sink.set_property("drop", True)
        caps = self._sink.get_static_pad("sink").get_current_caps()
        if caps is not None:
            self.frame_rate = _frame_rate(caps)

    def __iter__(self) -> Iterator[SourceFrame | Notice]:
        timeline = Timeline(live=self.live, frame_rate=self.frame_rate)
        notices = Notices()
        index = 0
        try:
            for item in self._samples():
                if isinstance(item, Notice):
                    yield from notices.once(item.kind, item.message)
                    continue
                arrived = time.monotonic()
                when = timeline.place(self._running_time(item), arrived)
                if not self._sampling.wants(index, when):
                    index += 1
                    continue
                pixels = self._pixels(item)
                yield from notices.follow_size(index, pixels)
                yield SourceFrame(index, when, pixels, arrived)
                index += 1
        finally:
            self.close()

    def close(self) -> None:
        """Stop the pipeline; a wait for a frame ends at once."""
        self._closed.set()
        with self._state:
            self._pipeline.set_state(self._gst.State.NULL)

    def _samples(self) -> Iterator[Any]:
        """The appsink's samples, and the pipeline's warnings, to its end."""
        with self._state:
            if self._closed.is_set():
                return
            self._pipeline.set_state(self._gst.State.PLAYING)
        last = time.monotonic()
        failure: SourceError | None = None
        while not self._closed.is_set():
            sample = self._sink.emit("try-pull-sample", int(_POLL * self._gst.SECOND))
            if self._closed.is_set():
                return
            for report in self._reports():
                if isinstance(report, Notice):
                    yield report
                else:
                    failure = failure or report
            if sample is not None:
                last = time.monotonic()
                yield sample
            elif failure is not None:  # after the frames that came before it
                raise failure
            elif self._sink.get_property("eos"):
                if self.live:
                    raise SourceError(self.name, "the pipeline ended", transient=True)
                return
            elif self.live and time.monotonic() - last > self._silence_timeout:
                reason = f"sent nothing for {self._silence_timeout:g} s"
                raise SourceError(self.name, reason, transient=True)

    def _reports(self) -> Iterator[Notice | SourceError]:
        """What the pipeline reported since the last call, in GStreamer's own words."""
        kinds = self._gst.MessageType
        # One call for both kinds: it throws away the messages of other kinds that come before.
        while (message := self._bus.pop_filtered(kinds.ERROR | kinds.WARNING)) is not None:
            if message.type == kinds.WARNING:
                words = _describe(message, message.parse_warning())
                yield Notice("warning", f"GStreamer, {words}")
            else:
                words = _describe(message, message.parse_error())
                yield SourceError(self.name, f"GStreamer, {words}", transient=self.live)

    def _raise_error(self) -> None:
        for report in self._reports():
            if isinstance(report, SourceError):
                raise report

    def _running_time(self, sample: Any) -> float | None:
        pts = sample.get_buffer().pts
        if pts == self._gst.CLOCK_TIME_NONE:
            return None
        running = sample.get_segment().to_running_time(self._gst.Format.TIME, pts)
        return None if running == self._gst.CLOCK_TIME_NONE else running / self._gst.SECOND

    def _pixels(self, sample: Any) -> Frame:
        structure = sample.get_caps().get_structure(0)
        width, height = structure.get_value("width"), structure.get_value("height")
        buffer = sample.get_buffer()
        meta = self._video.buffer_get_video_meta(buffer)
        # Without a word on it, GStreamer pads rows to four bytes (gst_video_info_set_format).
        stride = meta.stride[0] if meta is not None else -(-3 * width // 4) * 4
        data = np.frombuffer(buffer.extract_dup(0, buffer.get_size()), np.uint8)
        rows = np.lib.stride_tricks.as_strided(data, (height, 3 * width), (stride, 1))
        return np.ascontiguousarray(rows).reshape(height, width, 3)


def open_gstreamer(
    source: str,
    *,
    frame_rate: float | None = None,
    raw_format: RawFormat | None = None,
    sampling: Sampling = ALL_FRAMES,
) -> GStreamerSource:
    """A `gst:` pipeline; SourceError gives GStreamer's reason why not."""
    return GStreamerSource(source, sampling=sampling)


def _load_gstreamer(name: str) -> tuple[Any, Any, Any]:
    """The bindings Gst, GstVideo and GLib, initialised."""
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstVideo", "1.0")
        from gi.repository import GLib, Gst, GstVideo
    except (ImportError, ValueError):  # ValueError: PyGObject without GStreamer's description
        hint = (
            "needs GStreamer's Python bindings: apt-get install python3-gst-1.0, and an environment "
            "made by /usr/bin/python3 -m venv --system-site-packages"
        )
        raise SourceError(name, hint) from None
    Gst.init(None)
    return Gst, GstVideo, GLib


def _frame_rate(caps: Any) -> float | None:
    known, numerator, denominator = caps.get_structure(0).get_fraction("framerate")
    return numerator / denominator if known and numerator else None  # 0/1: variable


def _describe(message: Any, parsed: Any) -> str:
    """An error or warning in GStreamer's words: the element, what, and the details' last line."""
    error, details = parsed
    last_line = (details or "").strip().rpartition("\n")[2]
    words = [_one_line(error.message), *([_one_line(last_line)] if "\n" in (details or "") else [])]
    return f"{message.src.get_name()}: {' '.join(words)}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
