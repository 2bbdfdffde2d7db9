"""Views: what the encoder sees of a frame, cut and normalised (sections 1 and 2 of the method)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from maclip_runtime.method.geometry import Block, ViewGeometry
from maclip_runtime.method.pixels import Floats, Frame, Pixels, normalise_planes, resize_to_view

_LONGEST_RUN = 64  # windows normalised as one band: 22 MB, and a row of a frame of 8K


def iterate_views(
    frame: Frame, geometry: ViewGeometry, micro_batch: int, views: Sequence[int] | None = None
) -> Iterator[Pixels]:
    """A frame's views as encoder input `[n, 3, S, S]`, n at most `micro_batch`, one batch at a time.

    views: the indices of those wanted, in the order wanted; by default all, windows row by row and the
    global view last. One band and one micro-batch of float pixels exist at a time, whatever the frame's
    size.
    """
    wanted = range(geometry.count(*frame.shape[:2])) if views is None else views
    cut = _cut_views(frame, geometry, wanted)
    for start in range(0, len(wanted), micro_batch):
        count = min(micro_batch, len(wanted) - start)
        batch = np.empty((count, 3, geometry.size, geometry.size), np.float32)
        for place in range(count):
            batch[place] = next(cut)
        yield batch


def normalise_block(frame: Frame, geometry: ViewGeometry, block: Block) -> Pixels:
    """A block of neighbouring windows as one picture `[1, 3, h, w]`, for dense mode.

    The trunk of a ResNet sees every pixel of it once, not 2.4 times. Its windows see their neighbours where
    a view alone sees the convolutions' zero padding; at a block's border there is zero padding, as there is
    at every view's. So blocks need no halo: small ones are nearer to the published features, large ones do
    less work.
    """
    return normalise_planes(frame[block.top, block.left], geometry)[None]


def normalise_global_view(frame: Frame, geometry: ViewGeometry) -> Pixels:
    """The global view as encoder input by itself, `[1, 3, S, S]`."""
    return np.ascontiguousarray(resize_to_view(frame, geometry)[None])


def _cut_views(frame: Frame, geometry: ViewGeometry, views: Sequence[int]) -> Iterator[Floats]:
    """The views `[3, S, S]` one by one.

    Neighbouring windows share 96 of 224 columns, so those that follow each other in a row are normalised
    once, as one band, and copied out of it.
    """
    size, stride = geometry.size, geometry.stride
    rows, columns = geometry.grid(*frame.shape[:2])
    for first, count in _find_runs(views, columns):
        if first == rows * columns:
            yield resize_to_view(frame, geometry)
            continue
        top, left = (stride * place for place in divmod(first, columns))
        width = stride * (count - 1) + size
        band = normalise_planes(frame[top : top + size, left : left + width], geometry)
        for start in range(0, stride * count, stride):
            yield band[:, :, start : start + size]


def _find_runs(views: Sequence[int], columns: int) -> Iterator[tuple[int, int]]:
    """First index and number of views that follow each other within a row, a bounded number of them."""
    start = 0
    for place in range(1, len(views) + 1):
        ended = place == len(views) or place - start == _LONGEST_RUN
        if ended or views[place] != views[place - 1] + 1 or views[place] % columns == 0:
            yield views[start], place - start
            start = place
