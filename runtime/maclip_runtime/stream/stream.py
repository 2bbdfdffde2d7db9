"""A stream: one frame in, one reading out, with the views refreshed in turns."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.device_frames import DeviceFrame
from maclip_runtime.engines.engine import Pending
from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.method.head import Cues
from maclip_runtime.method.pixels import Floats, Frame
from maclip_runtime.results.score import QUANTITIES
from maclip_runtime.scorer import Scorer
from maclip_runtime.sources.preparation import PreparedFrame
from maclip_runtime.stream.budget import ViewBudget
from maclip_runtime.stream.turns import Turns, Views
from maclip_runtime.vocabulary import ViewsPerFrame


@dataclass(frozen=True)
class Reading:
    """The quality of a stream at one frame; higher is better.

    `frame` counts from 0; `time` as it was given. `score`, `similarity`, `magnitude`, `weight` (of the
    similarity cue) and `attributes` (by the prompt pair's name) are means over all `views`; `cues` has them
    per view, the global view last. `refreshed` views were encoded for this frame, the others are taken from
    earlier ones, and `fresh`, in 0..1, is the part of the views that have been encoded since they last
    changed suddenly. `detail`: how much fine detail the frame has, in 8-bit steps between neighbouring
    pixels; a covered lens has next to none. `scene`: a scene begins with this frame, as one does with the
    first and with every change of size. `width` and `height` are the frame's own; `enlarged`: it was
    smaller than a view and was scaled up, which is out of the published method.
    """

    frame: int
    time: float
    score: float
    similarity: float
    magnitude: float
    weight: float
    attributes: Mapping[str, float]
    views: int
    refreshed: int
    fresh: float
    detail: float
    scene: bool
    width: int
    height: int
    enlarged: bool
    cues: Cues

    @property
    def quantities(self) -> dict[str, float]:
        """What alerts and gates go by: the score, both cues and the attributes, by name."""
        own: dict[str, float] = {name: getattr(self, name) for name in QUANTITIES}
        return {**own, **self.attributes, **own}


@dataclass(frozen=True, eq=False)
class PendingReading:
    """The reading of a frame whose views the engine is working on; see `Stream.submit`.

    seconds: that submitting took.
    """

    stream: Stream
    turns: Turns
    pending: Pending
    number: int
    time: float
    prepared: PreparedFrame
    chosen: Views
    scene: bool
    seconds: float

    def result(self) -> Reading:
        """The reading; waits for it. Raises what the engine could not do, as `push` does."""
        return self.stream._conclude(self)


class Stream:
    """Scores the frames of one source, in their order. Several streams may share a scorer.

    views_per_frame: how many views are encoded for each frame; "all" is the published method on every
    frame; "auto" finds the number that keeps up, see `ViewBudget`. budget: seconds that a frame may take,
    for "auto"; by default the time between frames, or a `share` of it where streams share an engine.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        views_per_frame: ViewsPerFrame = 8,
        budget: float | None = None,
        share: float = 1.0,
    ) -> None:
        _check_count(views_per_frame)
        if budget is not None and not (budget > 0 and np.isfinite(budget)):
            raise UsageError(f"a budget of {budget} seconds a frame", "give a number above 0")
        if not 0 < share <= 1:
            raise UsageError(
                f"a share of {share}", "give a part of the time between frames, above 0"
            )
        if scorer.pixel_format != "rgb24":
            raise UsageError(
                f"a stream finds what has changed in RGB, and this scorer takes {scorer.pixel_format}",
                "score each frame by itself, or give a scorer of RGB",
            )
        self._scorer = scorer
        self._count = views_per_frame
        self._budget = ViewBudget(budget, share)
        self._frame = 0
        self._size: tuple[int, ...] = ()
        self._turns: Turns | None = None
        self._pending: PendingReading | None = None
        self._closed = False

    @property
    def views_per_frame(self) -> ViewsPerFrame:
        """How many views are encoded for the next frame, at most; or "all"."""
        return self._budget.count if self._count == "auto" else self._count

    def push(self, frame: Frame, time: float) -> Reading:
        """Score the next frame, uint8 RGB `[H, W, 3]`, shown at `time` in seconds.

        Raises PictureError for an array that is no frame, FrameError for one that the engine cannot take;
        the stream goes on with the next.
        """
        return self.submit(frame, time).result()

    def submit(self, frame: Frame, time: float) -> PendingReading:
        """Take the next frame, and return what will have its reading; as `push` in two steps.

        Between them other streams may submit theirs, so that an engine has the views of several frames at
        once. A stream takes its next frame after the result of this one.
        """
        if self._closed:
            raise UsageError("the stream is closed", "open another one")
        if self._pending is not None:
            raise UsageError("the frame before has no reading yet", "take its result first")
        start = clock.perf_counter()
        number, self._frame = self._frame, self._frame + 1
        prepared = self._scorer.prepare(frame)
        if isinstance(prepared.frame, DeviceFrame):
            reason = "a stream finds what has changed on the host"
            raise PictureError(
                str(prepared.frame), reason, "copy the frame there, or score it by itself"
            )
        turns = self._follow(prepared.frame)
        count = self.views_per_frame
        limit = turns.views if count == "all" else min(int(count), turns.views)
        chosen, scene = turns.choose(prepared.frame, limit)
        pending = self._scorer.engine.submit(prepared.frame, chosen.tolist())
        self._pending = PendingReading(
            self,
            turns,
            pending,
            number,
            time,
            prepared,
            chosen,
            scene,
            clock.perf_counter() - start,
        )
        return self._pending

    def _conclude(self, pushed: PendingReading) -> Reading:
        """The reading of the frame under way, from its features."""
        start = clock.perf_counter()
        self._pending = None
        features = pushed.pending.result()
        turns, chosen, prepared = pushed.turns, pushed.chosen, pushed.prepared
        encoded = self._scorer.score_views(features)
        cues = _split_columns(turns.settle(chosen, _join_columns(encoded)), encoded)
        if self._count == "auto":
            # What lies between the two steps is other streams'.
            cost = pushed.seconds + clock.perf_counter() - start
            self._budget.record(pushed.time, cost, turns.views)
        means = cues.mean()
        names = (pair.name for pair in self._scorer.bundle.manifest.prompts)
        return Reading(
            frame=pushed.number,
            time=pushed.time,
            score=means.score,
            similarity=means.similarity,
            magnitude=means.magnitude,
            weight=means.weight,
            attributes=dict(zip(names, cues.attributes.mean(axis=0).tolist(), strict=True)),
            views=turns.views,
            refreshed=len(chosen),
            fresh=turns.fresh,
            detail=turns.detail,
            scene=pushed.scene,
            width=prepared.width,
            height=prepared.height,
            enlarged=prepared.enlarged,
            cues=cues,
        )

    def close(self) -> None:
        """Forget everything; the stream takes no more frames. The scorer stays open."""
        self._turns = None
        self._closed = True

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _follow(self, frame: Frame) -> Turns:
        """The turns of frames of this size: begun anew where it is another than before."""
        if self._turns is None or frame.shape != self._size:
            geometry = self._scorer.bundle.manifest.method.views
            self._turns = Turns(geometry, *frame.shape[:2])
            self._size = frame.shape
        return self._turns


def _check_count(count: ViewsPerFrame) -> None:
    if isinstance(count, str):
        known = count in ("all", "auto")
    else:
        known = isinstance(count, int) and not isinstance(count, bool) and count >= 1
    if known:
        return
    raise UsageError(f"views_per_frame={count!r}", 'use a number above 0, "all" or "auto"')


def _join_columns(cues: Cues) -> Floats:
    """All that is known of each view as one table, `[n, C]`."""
    return np.column_stack(
        [*cues.values.values(), *cues.weights.values(), cues.score, cues.attributes]
    )


def _split_columns(table: Floats, like: Cues) -> Cues:
    """The cues of a table whose columns are those of `like`."""
    columns: list[NDArray[np.float32]] = [np.ascontiguousarray(column) for column in table.T]
    values = dict(zip(like.values, columns, strict=False))
    weights = dict(zip(like.weights, columns[len(values) :], strict=False))
    scored = len(values) + len(weights)
    return Cues(values, weights, columns[scored], table[:, scored + 1 :])
