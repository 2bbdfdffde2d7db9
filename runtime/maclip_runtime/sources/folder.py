"""A folder of pictures as a sequence: in the order of their names, at a given frame rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maclip_runtime.errors import PictureError, SourceError
from maclip_runtime.sources.paths import list_pictures
from maclip_runtime.sources.pictures import read_frame
from maclip_runtime.sources.sampling import ALL_FRAMES, Sampling
from maclip_runtime.sources.source import Notice, Notices, SourceFrame

if TYPE_CHECKING:
    from maclip_runtime.sources.raw import RawFormat

DEFAULT_RATE = 25.0  # frames a second


class FolderSource:
    """The pictures directly in a folder, hidden ones left out, sorted by name: frame_9 comes after
    frame_10, so number them with leading zeros. A picture that cannot be read keeps its index and
    its time, and each is said.
    """

    live = False

    def __init__(
        self,
        directory: Path,
        frame_rate: float | None = None,
        *,
        sampling: Sampling = ALL_FRAMES,
    ) -> None:
        self.name: str = str(directory)
        self.frame_rate: float | None = frame_rate or DEFAULT_RATE
        self._sampling = sampling
        self._closed = threading.Event()
        try:
            self._paths = list_pictures(directory, recursive=False)
        except OSError as error:
            raise SourceError(self.name, f"cannot be listed: {error.strerror}") from None
        if not self._paths:
            raise SourceError(self.name, "no pictures in this folder")

    def __iter__(self) -> Iterator[SourceFrame | Notice]:
        rate = self.frame_rate or DEFAULT_RATE
        notices = Notices()
        for index, path in enumerate(self._paths):
            if self._closed.is_set():
                return
            if not self._sampling.wants(index, index / rate):
                continue
            try:
                pixels = np.ascontiguousarray(read_frame(path))
            except PictureError as error:
                yield Notice("damaged", f"{path.name}: {error.reason}")
                continue
            yield from notices.follow_size(index, pixels)
            yield SourceFrame(index, index / rate, pixels, time.monotonic())

    def close(self) -> None:
        """End the iteration after the picture that is being read."""
        self._closed.set()


def open_folder(
    source: str,
    *,
    frame_rate: float | None = None,
    raw_format: RawFormat | None = None,
    sampling: Sampling = ALL_FRAMES,
) -> FolderSource:
    """The pictures of a folder; SourceError if there are none."""
    return FolderSource(Path(source), frame_rate, sampling=sampling)
