"""How the views of a frame are divided into runs of one size, which libraries prepare kernels for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Split:
    """How a frame is worked off: `count` views in `chunks` of `chunk` each, the last filled up."""

    count: int
    chunks: int
    chunk: int

    def fill(self, views: NDArray[Any]) -> NDArray[Any]:
        """`count` views as `[chunks, chunk]`, the last one again where a chunk is filled up."""
        places = np.minimum(np.arange(self.chunks * self.chunk), self.count - 1)
        return np.asarray(views)[places].reshape(self.chunks, self.chunk)


def split_evenly(count: int, limit: int) -> Split:
    """Chunks as even as can be, of at most `limit` views."""
    chunks = -(-count // limit)
    return Split(count, chunks, -(-count // chunks))


def split_alike(count: int, chunk: int) -> Split:
    """Chunks of `chunk` views; of the power of two that takes them all where there are fewer.

    So there are few sizes of chunks, whatever the numbers of views, for a library that compiles for each.
    """
    if count < chunk:
        chunk = min(chunk, 1 << (count - 1).bit_length())
    return Split(count, -(-count // chunk), chunk)
