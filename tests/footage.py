"""Videos that PyAV writes, of pictures that tell which frame they are."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.sources.source import Notice, Source, SourceFrame

WIDTH, HEIGHT, FRAMES, RATE = 320, 240, 30, 25


def picture_of(index: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A smooth picture whose quarters differ, and whose brightness tells the frame's index."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    level = 40 + 5 * (index % 30)
    planes = (level + 0 * x, 40 + 160 * x, 40 + 160 * y)
    return np.stack(planes, axis=-1).astype(np.uint8)


def index_of(pixels: NDArray[np.uint8]) -> int:
    """Which frame of `picture_of` this is, by its red."""
    return round((float(pixels[:, :, 0].mean()) - 40) / 5)


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    times: Iterable[int] = range(FRAMES),
    rotation: tuple[float, bool, bool] | None = None,
    pixel_format: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
) -> Path:
    """Write `picture_of` frames with presentation times in 1 / RATE seconds; BT.601, limited."""
    import av

    width, height = size
    extra = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with av.open(str(path), "w", options=dict(container_options or {})) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.options = {"crf": "12", **extra, **(options or {})}
        stream.bit_rate = 8_000_000  # for the codecs that know no CRF
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.colorspace, stream.codec_context.color_range = 5, 1
        if rotation is not None:
            stream.set_display_rotation(*rotation)
        for index, time in enumerate(times):
            picture = av.VideoFrame.from_ndarray(picture_of(index, width, height), "rgb24")
            frame = picture.reformat(format=pixel_format, dst_colorspace=5, dst_color_range=1)
            frame.pts, frame.time_base = time, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_all(source: Source) -> tuple[list[SourceFrame], list[Notice]]:
    """Everything a source yields, frames and notices apart."""
    items = list(source)
    frames = [item for item in items if isinstance(item, SourceFrame)]
    return frames, [item for item in items if isinstance(item, Notice)]


def wait_for_end_of(name: str) -> None:
    """Make sure that the threads of this name end."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(timeout=60)
            assert not thread.is_alive(), f"{name} still runs"
