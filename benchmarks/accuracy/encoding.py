"""Features of many pictures: from the cache, or encoded and put there, with the time left shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.accuracy.feature_cache import Encoded, FeatureCache, PictureHashes
from benchmarks.console import track
from maclip_runtime import PictureError, Scorer
from maclip_runtime.errors import FrameError
from maclip_runtime.lookahead import run_ahead
from maclip_runtime.sources.pictures import Picture, describe_picture
from maclip_runtime.sources.preparation import PreparedFrame

_AHEAD = 2  # decoded pictures that may wait for the engine; they are large


@dataclass(frozen=True)
class Outcome:
    """What became of one picture: its features, or the error that it failed with.

    `fresh`: it was encoded in this run, not found in the cache.
    """

    encoded: Encoded | None
    fresh: bool
    error: PictureError | None


# What is encoded: called in another thread, gives the SHA-256 of the content and the picture; raises
# PictureError if it can't.
Source = Callable[[], tuple[str, Picture]]


@dataclass(frozen=True)
class _Ready:
    """A picture looked up, and decoded if it was not in the cache."""

    name: str
    content: str
    cached: Encoded | None
    prepared: PreparedFrame | None


def encode_pictures(scorer: Scorer, root: Path, paths: Sequence[Path]) -> Iterator[Outcome]:
    """The outcome of each picture file, in order; the cache is below `root`."""
    hashes = PictureHashes(root)

    def open_picture(path: Path) -> tuple[str, Picture]:
        try:
            return hashes.hash(path), path
        except FileNotFoundError:
            raise PictureError(str(path), "no such file") from None
        except OSError as error:
            raise PictureError(str(path), f"cannot be read: {error.strerror}") from None

    return encode_sources(scorer, root, [partial(open_picture, path) for path in paths])


def encode_sources(scorer: Scorer, root: Path, sources: Sequence[Source]) -> Iterator[Outcome]:
    """The outcome of each source, in order; the cache is below `root`.

    Sources are called, and pictures decoded, in a second thread while the engine works.
    """
    cache = FeatureCache(root, scorer)

    def look_up(source: Source) -> _Ready | PictureError:
        try:
            content, picture = source()
            cached = cache.load(content)
            prepared = None if cached else scorer.prepare(picture)
            return _Ready(describe_picture(picture), content, cached, prepared)
        except PictureError as error:
            return error

    with ThreadPoolExecutor(1, thread_name_prefix="decode") as decoder:
        tracked = track(sources, "encoding")
        for job in run_ahead(tracked, lambda source: decoder.submit(look_up, source), _AHEAD):
            ready = job.result()
            if isinstance(ready, PictureError):
                yield Outcome(None, False, ready)
            elif ready.prepared is None:
                yield Outcome(ready.cached, False, None)
            else:
                yield _encode(scorer, cache, ready, ready.prepared)


def _encode(scorer: Scorer, cache: FeatureCache, ready: _Ready, prepared: PreparedFrame) -> Outcome:
    try:
        features = scorer.engine.encode(prepared.frame)
    except FrameError as error:
        return Outcome(None, False, PictureError(ready.name, error.cause, error.remedy))
    encoded = Encoded(features, prepared.enlarged)
    cache.store(ready.content, encoded)
    return Outcome(encoded, True, None)
