"""Video files, network cameras (RTSP) and V4L2 devices, through PyAV (FFmpeg)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from maclip_runtime.errors import SourceError
from maclip_runtime.sources.sampling import ALL_FRAMES, Sampling
from maclip_runtime.sources.select import is_camera
from maclip_runtime.sources.source import (
    SILENCE_TIMEOUT,
    Notice,
    Notices,
    SourceFrame,
    hide_password,
)
from maclip_runtime.sources.timeline import Timeline
from maclip_runtime.sources.video_frame import FrameConverter

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from maclip_runtime.sources.raw import RawFormat

OPEN_TIMEOUT = 10.0  # seconds for a server to answer and to describe its stream
_READ_POLL = 0.4  # seconds that a read of a live source waits before it looks whether it was closed
_NONBLOCK = "+4"  # AVFMT_FLAG_NONBLOCK, which has no name: a read of a device cannot be interrupted
_DEVICE_POLL = 0.005  # seconds between looks at a device that has no frame yet
_MOST_THREADS = 4  # of one file: each holds a decoded frame
_MOST_READ_ERRORS = 10  # in a row, after which a file is given up


@dataclass
class _Read:
    """What came of one attempt to read: a packet and its frames, what was wrong, whether it ended."""

    packet: Packet[VideoStream] | None = None
    frames: list[VideoFrame] = field(default_factory=list)
    damage: str | None = None
    ended: bool = False


class VideoSource:
    """Frames of the first video stream, decoded in order.

    Damaged packets are left out and said once. The time of a frame is its presentation time from the
    stream's start; `Timeline` fills in what is missing.
    """

    def __init__(
        self,
        source: str,
        *,
        frame_rate: float | None = None,
        sampling: Sampling = ALL_FRAMES,
        silence_timeout: float = SILENCE_TIMEOUT,
    ) -> None:
        """Open a file, an address or a device; SourceError says why that cannot be done.

        `frame_rate` places frames that have no times; by default it is the stream's own. A live
        source that sends nothing for `silence_timeout` seconds is lost.
        """
        self.name: str = hide_password(source)
        self.live: bool = is_camera(source)
        self._sampling = sampling
        self._silence_timeout = silence_timeout
        self._patience = _READ_POLL if self.live else silence_timeout  # of one read, in seconds
        self._closed = threading.Event()
        self._reading = threading.Lock()  # FFmpeg's contexts are freed only between two reads
        self._container = self._open(source)
        videos = self._container.streams.video
        if not videos:
            self._container.close()
            raise SourceError(self.name, "there is no video in it")
        self._stream = videos[0]
        if not self.live:
            self._stream.thread_type = "AUTO"  # by frames: faster, but later by a frame a thread
            self._stream.thread_count = min(_MOST_THREADS, os.cpu_count() or 1)
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.frame_rate: float | None = frame_rate or (float(rate) if rate else None)
        # Read now: FFmpeg's structures are gone once another thread has closed the source.
        self._time_base = self._stream.time_base
        self._start = self._stream.start_time or 0
        self._codec = self._stream.codec_context.codec.name
        self._duration = self._announced_duration()
        self._notices = Notices()

    def _open(self, source: str) -> InputContainer:
        try:
            import av
        except ImportError:
            hint = "video needs PyAV: pip install 'maclip-edge[video]'"
            raise SourceError(self.name, hint) from None
        device = source.startswith("/dev/video")
        options = {}
        if source.lower().startswith("rtsp"):
            options = {"rtsp_transport": "tcp"}  # UDP loses packets, and many networks block it
        elif device:
            options = {"fflags": _NONBLOCK}
        try:
            return av.open(
                source,
                format="v4l2" if device else None,
                options=options,
                timeout=(OPEN_TIMEOUT, self._patience),
            )
        except av.FFmpegError as error:
            raise self._explain(error, device) from None

    def _explain(self, error: Exception, device: bool) -> SourceError:
        """Why opening failed, and what to do."""
        import av

        words = getattr(error, "strerror", None) or str(error)
        transient = self.live and not device
        if isinstance(error, av.error.HTTPUnauthorizedError):
            reason = "refused the user name or password: give them as rtsp://USER:PASSWORD@HOST/..."
            transient = False
        elif isinstance(error, av.error.HTTPNotFoundError):
            reason, transient = "the server has no such stream: check the path", False
        elif isinstance(error, av.error.ExitError):
            reason = f"no answer within {OPEN_TIMEOUT:.0f} s"
        elif isinstance(error, av.FileNotFoundError):
            reason = "no such device" if device else "no such file"
        elif isinstance(error, av.PermissionError) and device:
            reason = "permission denied: add yourself to the group video"
        elif isinstance(error, av.InvalidDataError) and not self.live:
            reason = "not a video that FFmpeg can read, or cut off before its index"
        elif device:
            reason = f"not a usable V4L2 device: {words}"
        else:
            reason = f"cannot be opened: {words}"
        return SourceError(self.name, reason, transient=transient)

    def __iter__(self) -> Iterator[SourceFrame | Notice]:
        timeline = Timeline(live=self.live, frame_rate=self.frame_rate)
        converter = FrameConverter(self.name, self._codec, self._notices)
        index = 0
        try:
            for frame in self._decode():
                if isinstance(frame, Notice):
                    yield frame
                    continue
                arrived = time.monotonic()
                when = timeline.place(self._presentation_time(frame), arrived)
                if timeline.irregular and not self.live:
                    text = f"presentation times are missing or jump at frame {index}: filled in"
                    yield from self._notices.once("time", text)
                if frame.is_corrupt:
                    yield from self._damaged(when, "a frame could be decoded only in part")
                if not self._sampling.wants(index, when):
                    index += 1
                    continue
                pixels = converter.convert(frame)
                yield from converter.notices()
                yield from self._notices.follow_size(index, pixels)
                yield SourceFrame(index, when, pixels, arrived)
                index += 1
            yield from self._missing_end(timeline.last)
        finally:
            self.close()

    def close(self) -> None:
        """End the iteration. A read that waits notices within half a second and frees the decoder."""
        self._closed.set()
        if self._reading.acquire(blocking=False):
            try:
                self._container.close()
            finally:
                self._reading.release()

    def _decode(self) -> Iterator[VideoFrame | Notice]:
        """Decoded frames in presentation order, to the end of the data."""
        last_data = time.monotonic()
        errors = 0
        while True:
            read = self._read()
            if self._closed.is_set():
                return
            yield from read.frames
            errors = 0 if read.packet is not None else errors + (read.damage is not None)
            if read.ended or errors > _MOST_READ_ERRORS:
                yield from self._finish(read.damage)
                return
            if read.damage is not None:
                yield from self._damaged(self._presentation_time(read.packet), read.damage)
            if read.packet is not None:
                last_data = time.monotonic()
            elif self.live:
                if time.monotonic() - last_data > self._silence_timeout:
                    raise self._lost(f"sent nothing for {self._silence_timeout:g} s")
                self._closed.wait(_DEVICE_POLL)

    def _read(self) -> _Read:
        """Read a packet and decode it, or say why there is none."""
        import av

        read = _Read()
        with self._reading:
            if self._closed.is_set():
                return read
            try:
                read.packet = next(self._container.demux(self._stream), None)
                # PyAV's last packet is empty, and makes the decoder give out what it holds.
                read.ended = read.packet is None or read.packet.size == 0
                read.frames = self._stream.decode(read.packet)
                if read.packet is not None and read.packet.is_corrupt:
                    read.damage = "a packet is cut off"
            except av.EOFError:
                read.ended = True
            except (av.error.ExitError, av.BlockingIOError):
                if not self.live:  # a camera is asked again, a server of files is not
                    read.ended, read.damage = True, f"no data for {self._patience:.0f} s"
            except av.FFmpegError as error:
                read.damage = error.strerror or str(error)
                # Bad data are passed over; a connection or device that failed has no more.
                read.ended = read.packet is None and not isinstance(error, av.InvalidDataError)
        return read

    def _finish(self, damage: str | None) -> Iterator[VideoFrame | Notice]:
        """The end of the data: a loss for a camera; what the decoder holds for a file."""
        import av

        if self._closed.is_set():
            return
        if self.live:
            raise self._lost("the connection ended" + (f": {damage}" if damage else ""))
        with self._reading:
            try:
                frames = [] if self._closed.is_set() else self._stream.decode(None)
            except av.FFmpegError:  # EOFError: it was given out already
                frames = []
        yield from frames
        if damage:
            yield from self._notices.once("ends-early", f"cannot be read to its end: {damage}")

    def _lost(self, reason: str) -> SourceError:
        return SourceError(self.name, reason, transient=True)

    def _damaged(self, when: float | None, what: str) -> tuple[Notice, ...]:
        where = "" if when is None else f" at {when:.2f} s"
        text = f"damaged data{where}: {what}; frames may be missing or wrong from there on"
        return self._notices.once("damaged", text)

    def _presentation_time(self, timed: VideoFrame | Packet[VideoStream] | None) -> float | None:
        """Seconds from the stream's start, None where a frame or packet has no time."""
        if timed is None or timed.pts is None or self._time_base is None:
            return None
        return float((timed.pts - self._start) * (timed.time_base or self._time_base))

    def _announced_duration(self) -> float | None:
        """Seconds of video that a file says it has, None where it does not say."""
        if self._stream.duration and self._time_base:
            return float(self._stream.duration * self._time_base)
        if self._container.duration and len(self._container.streams) == 1:
            return self._container.duration / 1e6  # in microseconds; of several, the longest
        return None

    def _missing_end(self, last: float | None) -> tuple[Notice, ...]:
        """A notice if a file has less than it announces: it was cut off, without a word from FFmpeg."""
        if self.live or self._closed.is_set() or not self.frame_rate or not self._duration:
            return ()
        end = 0.0 if last is None else last + 1 / self.frame_rate
        if end >= 0.99 * self._duration - 2 / self.frame_rate:
            return ()
        text = f"ends at {end:.2f} s of the {self._duration:.2f} s it announces"
        return self._notices.once("ends-early", text)


def open_video(
    source: str,
    *,
    frame_rate: float | None = None,
    raw_format: RawFormat | None = None,
    sampling: Sampling = ALL_FRAMES,
) -> VideoSource:
    """A video file, a camera's address or a V4L2 device; SourceError says why not."""
    return VideoSource(source, frame_rate=frame_rate, sampling=sampling)
