"""Which source a SOURCE on the command line means: a new source is a module, and a line in the table."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from maclip_runtime.sources.sampling import ALL_FRAMES, Sampling

if TYPE_CHECKING:
    from maclip_runtime.sources.raw import RawFormat
    from maclip_runtime.sources.source import Source

LIVE_SCHEMES = ("rtsp://", "rtsps://", "rtmp://", "rtmps://", "rtp://", "udp://", "srt://")


def is_camera(source: str) -> bool:
    """Whether a SOURCE is live by its name alone; a `gst:` pipeline shows it only once it is open."""
    return source.lower().startswith(LIVE_SCHEMES) or source.startswith("/dev/video")


class _Kind(NamedTuple):
    means: Callable[[str], bool]
    module: str  # loaded only when needed: PyAV and GStreamer are large, and optional
    opener: str


_KINDS = (
    _Kind(lambda source: source == "-", "raw", "open_raw"),
    _Kind(lambda source: source.startswith("gst:"), "gstreamer", "open_gstreamer"),
    _Kind(lambda source: Path(source).is_dir(), "folder", "open_folder"),
    _Kind(lambda source: True, "video", "open_video"),  # files, network cameras, V4L2
)


def open_source(
    source: str,
    *,
    frame_rate: float | None = None,
    raw_format: RawFormat | None = None,
    sampling: Sampling = ALL_FRAMES,
) -> Source:
    """Open a SOURCE: a video file, `rtsp://...`, `/dev/video0`, `gst:PIPELINE`, a folder, or `-`.

    `frame_rate`: of a folder or of raw frames, which name none. `raw_format`: of raw frames on stdin.
    `sampling`: the frames that are wanted; it belongs to this source alone. Raises SourceError if it cannot
    be opened, UsageError if `-` lacks its format.
    """
    kind = next(kind for kind in _KINDS if kind.means(source))
    module = import_module(f"maclip_runtime.sources.{kind.module}")
    opened: Source = getattr(module, kind.opener)(
        source, frame_rate=frame_rate, raw_format=raw_format, sampling=sampling
    )
    return opened
