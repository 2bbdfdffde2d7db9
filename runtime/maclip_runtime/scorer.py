"""The scorer: picture in, score out."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle import Bundle, open_bundle
from maclip_runtime.engines import open_engine
from maclip_runtime.errors import PictureError
from maclip_runtime.head import Cues, judge_views
from maclip_runtime.images import Picture, PreparedFrame, Preset, describe_picture, prepare_frame
from maclip_runtime.manifest import Precision, ViewMode
from maclip_runtime.views import Frame

logger = logging.getLogger(__name__)

_READ_AHEAD = 2  # decoded frames that may wait for the engine; bounds memory at any picture size


@dataclass(frozen=True)
class Score:
    """The quality of one picture; higher is better.

    `score`, `similarity`, `magnitude` and `weight` (of the similarity cue) are means over the views;
    `cues` has them per view, in view order, the global view last. `views` is their number.
    `width` and `height` are the picture's own. `enlarged`: it was smaller than a view and was scaled
    up first, which is out of the published method. `bundle`, `engine`, `precision` and `view_mode`
    say what made the score.
    """

    path: str
    score: float
    similarity: float
    magnitude: float
    weight: float
    views: int
    width: int
    height: int
    enlarged: bool
    preset: str
    engine: str
    precision: str
    view_mode: str
    bundle: str
    cues: Cues


class Scorer:
    """Scores pictures with the encoder of a bundle. May be used from several threads at once.

    bundle: a bundle directory, "demo" for the small encoder inside the package, or an opened Bundle.
    engine: see `open_engine`. preset: "native" (the picture as it is), or "448" or "224" (resized to a
    square of that side first). precision: of the graph, by default the engine's own choice. views:
    "exact" as published, or "dense", which encodes neighbouring windows together, 2.2 times as fast and
    slightly different. threads: CPU threads, by default one per physical core. exif_orientation: turn
    pictures as their EXIF tag says; the published method does not.
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle,
        *,
        engine: str = "auto",
        preset: Preset = "native",
        precision: Precision | None = None,
        views: ViewMode = "exact",
        threads: int | None = None,
        exif_orientation: bool = False,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
        self.preset = preset
        self.exif_orientation = exif_orientation
        self._prompts = self.bundle.load_prompts()
        self.engine = open_engine(
            self.bundle, engine, precision=precision, views=views, threads=threads
        )
        logger.info("%s with %s", self.bundle.path, self.engine.name)

    def score(self, picture: Picture) -> Score:
        """Score a path, a PIL image or a uint8 RGB array `[H, W, 3]`; PictureError if it can't be."""
        prepared = self.prepare(picture)
        return self.judge(self.encode(prepared), prepared, describe_picture(picture))

    def score_many(self, pictures: Iterable[Picture]) -> Iterator[Score | PictureError]:
        """Score pictures in order, decoding the next ones while the engine works.

        A picture that cannot be scored comes out as its PictureError, in its place; the others are
        not lost. At most two decoded frames wait at a time.
        """
        taken: deque[tuple[str, PreparedFrame | PictureError]] = deque()

        def take_frames() -> Iterator[Frame]:
            for item in self._read_ahead(pictures):
                taken.append(item)
                if isinstance(item[1], PreparedFrame):
                    yield item[1].frame

        def failed_first() -> Iterator[PictureError]:
            while taken and isinstance(taken[0][1], PictureError):
                yield taken.popleft()[1]  # type: ignore[misc]

        for features in self.engine.encode_many(take_frames()):
            yield from failed_first()
            path, prepared = taken.popleft()
            assert isinstance(prepared, PreparedFrame)
            yield self.judge(features, prepared, path)
        yield from failed_first()

    def prepare(self, picture: Picture) -> PreparedFrame:
        """Read a picture and bring it to the preset's size."""
        return prepare_frame(
            picture,
            self.preset,
            self.bundle.manifest.method.views.size,
            exif_orientation=self.exif_orientation,
        )

    def encode(self, prepared: PreparedFrame) -> NDArray[np.float32]:
        """Features `[V, D]` of a prepared frame's views."""
        return self.engine.encode(prepared.frame)

    def judge(self, features: NDArray[np.float32], prepared: PreparedFrame, path: str) -> Score:
        """The score of a picture from its features `[V, D]`."""
        method = self.bundle.manifest.method
        cues = judge_views(features, self._prompts, method.logit_scale, method.head)
        return Score(
            path=path,
            score=float(cues.score.mean()),
            similarity=float(cues.similarity.mean()),
            magnitude=float(cues.magnitude.mean()),
            weight=float(cues.weight.mean()),
            views=len(cues.score),
            width=prepared.width,
            height=prepared.height,
            enlarged=prepared.enlarged,
            preset=self.preset,
            engine=self.engine.name,
            precision=self.engine.precision,
            view_mode=self.engine.view_mode,
            bundle=self.bundle.name,
            cues=cues,
        )

    def close(self) -> None:
        """Give back what the engine holds; the scorer cannot be used afterwards."""
        self.engine.close()

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read_ahead(
        self, pictures: Iterable[Picture]
    ) -> Iterator[tuple[str, PreparedFrame | PictureError]]:
        """Pictures prepared in a thread of their own, in order, a few ahead of whoever takes them."""
        waiting: deque[tuple[str, Future[PreparedFrame]]] = deque()

        def take() -> tuple[str, PreparedFrame | PictureError]:
            path, future = waiting.popleft()
            try:
                return path, future.result()
            except PictureError as error:
                return path, error

        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="maclip-decode") as decoder:
            try:
                for picture in pictures:
                    future = decoder.submit(self.prepare, picture)
                    waiting.append((describe_picture(picture), future))
                    if len(waiting) > _READ_AHEAD:
                        yield take()
                while waiting:
                    yield take()
            finally:  # also when the caller stops early
                for _, future in waiting:
                    future.cancel()
