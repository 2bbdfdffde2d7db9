"""Features of many pictures: from the cache, or encoded and put there, with the time left shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.accuracy.feature_cache import Encoded, FeatureCache, PictureHashes
from benchmarks.accuracy.read_ahead import map_ahead
from benchmarks.console import track
from maclip_runtime import PictureError, Scorer
from maclip_runtime.errors import FrameError
from maclip_runtime.sources.pictures import Picture, describe_picture
from maclip_runtime.sources.preparation import PreparedFrame


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

    for ready in map_ahead(look_up, track(sources, "encoding")):
        if isinstance(ready, PictureError):
            yield Outcome(None, False, ready)
        elif ready.prepared is None:
            yield Outcome(ready.cached, False, None)
        else:
            try:
                features = scorer.engine.encode(ready.prepared.frame)
            except FrameError as error:
                yield Outcome(None, False, PictureError(ready.name, error.cause, error.remedy))
                continue
            encoded = Encoded(features, ready.prepared.enlarged)
            cache.store(ready.content, encoded)
            yield Outcome(encoded, True, None)
