"""The scorer: picture in, score out. Order, errors and how far to run ahead are decided here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np

from maclip_runtime.bundle.bundle import Bundle, open_bundle
from maclip_runtime.device_frames import DeviceFrame
from maclip_runtime.engines.engine import Engine, Pending
from maclip_runtime.engines.select import Selection, select_engine
from maclip_runtime.errors import EngineError, PictureError, Remedy, UsageError, refuse_unknown
from maclip_runtime.lookahead import run_ahead
from maclip_runtime.method.head import Cues, score_views
from maclip_runtime.method.pixels import Floats
from maclip_runtime.results.score import Score
from maclip_runtime.sources.pictures import Picture, describe_picture
from maclip_runtime.sources.preparation import PreparedFrame, prepare_frame, take_frame
from maclip_runtime.under_way import (
    Job,
    count_decoders,
    fail,
    make_room,
    naming,
    wait_for_turn,
)
from maclip_runtime.vocabulary import (
    PRESETS,
    EngineChoice,
    GraphPixelFormat,
    Precision,
    Preset,
    ViewMode,
)


class Scorer:
    """Scores pictures with the encoder of a bundle. May be used from several threads at once.

    bundle: a bundle directory, "demo" for the small encoder inside the package, or an opened Bundle.
    engine: an engine's name, or "auto"; see `select_engine`. preset: "native" (the picture as it is), or
    "448" or "224" (resized to a square of that side first). precision: of the graph, by default the
    engine's own choice. views: "exact" as published, or "dense", which encodes neighbouring windows
    together, 2.2 times as fast and slightly different. threads: CPU threads, by default one per physical
    core. device: number of the GPU, by default the first. exif_orientation: turn pictures as their EXIF tag
    says; the published method does not. pixel_format: with another than "rgb24" a picture is a uint8 array,
    BGR `[H, W, 3]`, RGBA `[H, W, 4]` or NV12 `[H * 3 / 2, W]`, for which the bundle has a frame graph.

    `selection` says which engine was opened, and why not the ones before it.
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle,
        *,
        engine: EngineChoice = "auto",
        preset: Preset = "native",
        precision: Precision | None = None,
        views: ViewMode = "exact",
        threads: int | None = None,
        device: int | None = None,
        exif_orientation: bool = False,
        pixel_format: GraphPixelFormat = "rgb24",
    ) -> None:
        refuse_unknown("preset", preset, PRESETS)
        if pixel_format != "rgb24" and preset != "native":
            raise UsageError(
                f"{pixel_format} frames are not resized",
                Remedy("use {preset}", settings={"preset": "native"}),
            )
        self.pixel_format = pixel_format
        self.bundle: Bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
        self.preset = preset
        self.exif_orientation = exif_orientation
        self._prompts = self.bundle.load_prompts()
        self.selection: Selection = select_engine(
            self.bundle,
            engine,
            precision=precision,
            views=views,
            threads=threads,
            device=device,
            pixel_format=pixel_format,
        )
        self.engine: Engine = self.selection.engine

    def score(self, picture: Picture) -> Score:
        """Score a picture; PictureError if it can't be.

        It is a path, an encoded picture as bytes or an open binary file, a PIL image, or a uint8 RGB
        array `[H, W, 3]`; one on a GPU (`__cuda_array_interface__`, DLPack) stays there.
        """
        path, prepared = describe_picture(picture), self.prepare(picture)
        with naming(path):
            features = self.engine.encode(prepared.frame)
        return self.conclude(features, prepared, path)

    def score_many(
        self, pictures: Iterable[Picture | PictureError], *, ahead: int | None = None
    ) -> Iterator[Score | PictureError]:
        """Score pictures in order, working on at most `ahead` more than the one that comes out next.

        By default as many as the engine and the threads that decode gain from; beside a GPU these are
        several.

        A picture that cannot be scored comes out as its PictureError, in its place, as does a PictureError
        among the pictures; the others are not lost. A score that is there comes out before another picture
        is taken; with `ahead` 0, for live frames, none is taken early. Arrays and images may be used anew
        as soon as the next one is asked for. A large picture is decoded only when those before it have left
        it memory, DECODING_BYTES in all.
        """
        under_way: list[Job] = []
        threads = count_decoders(self.engine)
        ahead = self.engine.ahead + threads - 1 if ahead is None else ahead
        with ThreadPoolExecutor(min(threads, ahead + 1), "maclip-decode") as decoders:
            for job in run_ahead(pictures, partial(self._start, decoders, under_way), ahead):
                try:
                    prepared, features = job.result()
                except PictureError as error:
                    yield error
                else:
                    yield self.conclude(features, prepared, job.path)

    def prepare(
        self, picture: Picture, *, make_room: Callable[[int], None] = lambda _: None
    ) -> PreparedFrame:
        """Read a picture and bring it to the preset's size. make_room: see `prepare_frame`."""
        if self.pixel_format != "rgb24":
            frame = take_frame(picture, self.pixel_format)
            make_room(frame.frame.size)
            return frame
        return prepare_frame(
            picture,
            self.preset,
            self.bundle.manifest.method.views.size,
            exif_orientation=self.exif_orientation,
            make_room=make_room,
        )

    def score_views(self, features: Floats) -> Cues:
        """The cues of views from their features `[N, D]`.

        EngineError if they are not finite: features may be and still be beyond the method's arithmetic.
        """
        manifest = self.bundle.manifest
        method = manifest.method
        try:
            # A norm that overflows would make all directions 0, and so scores of 0.5 that say nothing.
            with np.errstate(over="raise", invalid="ignore"):
                cues = score_views(
                    features, self._prompts, method.logit_scale, method.head, manifest.scored
                )
        except FloatingPointError:
            raise self._refuse_features() from None
        if not cues.finite:
            raise self._refuse_features()
        return cues

    def _refuse_features(self) -> EngineError:
        return EngineError(
            f"{self.bundle.path / self.selection.file.path}: its features give a score that is no "
            "finite number",
            "export the bundle again",
        )

    def conclude(self, features: Floats, prepared: PreparedFrame, path: str) -> Score:
        """The score of a picture from its features `[V, D]`."""
        cues = self.score_views(features)
        means = cues.mean()
        manifest = self.bundle.manifest
        attributes = cues.attributes.mean(axis=0)
        return Score(
            path=path,
            score=means.score,
            similarity=means.similarity,
            magnitude=means.magnitude,
            weight=means.weight,
            attributes={
                pair.name: float(value)
                for pair, value in zip(manifest.prompts, attributes, strict=True)
            },
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
            geometry=manifest.method.views,
            frame_size=prepared.sides,
        )

    def close(self) -> None:
        """Give back what the engine holds; the scorer cannot be used afterwards."""
        self.engine.close()

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _start(
        self,
        decoders: ThreadPoolExecutor,
        under_way: list[Job],
        picture: Picture | PictureError,
    ) -> Job:
        """Have a picture decoded, and given to the engine in the order in which this is called.

        under_way: the pictures before it, which it waits for if it is too large to be held beside them.
        """
        if isinstance(picture, PictureError):
            return Job(picture.picture, fail(picture))
        under_way[:] = [job for job in under_way if not job.done()]
        before = tuple(under_way)
        name = describe_picture(picture)
        claimed: Future[int] = Future()
        claim = partial(make_room, before, claimed)
        if isinstance(picture, str | os.PathLike | bytes):
            path = picture

            def read() -> tuple[PreparedFrame, Pending]:
                prepared = self.prepare(path, make_room=claim)
                wait_for_turn(before)
                return self._submit(prepared)

            job = Job(name, decoders.submit(read), claimed)
        else:
            wait_for_turn(before)  # now it is known what they hold
            try:
                prepared = self._prepare_here(picture, claim)
            except PictureError as error:
                return Job(name, fail(error))
            job = Job(name, decoders.submit(self._submit, prepared), claimed)
        under_way.append(job)
        return job

    def _prepare_here(self, picture: Picture, claim: Callable[[int], None]) -> PreparedFrame:
        """Prepare what is the caller's, and may be changed once the next picture is asked for."""
        prepared = self.prepare(picture, make_room=claim)
        frame = prepared.frame
        if isinstance(frame, DeviceFrame):
            return prepared
        if isinstance(picture, np.ndarray) and np.may_share_memory(picture, frame):
            # The caller's buffer, which may hold the camera's next frame before the engine has this one.
            return replace(prepared, frame=frame.copy())
        return prepared

    def _submit(self, prepared: PreparedFrame) -> tuple[PreparedFrame, Pending]:
        """Give a frame to the engine, which alone holds its pixels from now on."""
        return prepared.without_pixels(), self.engine.submit(prepared.frame)
