"""Features of many pictures: from the cache, or encoded and put there, with the time left shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from console import track
from feature_cache import Encoded, FeatureCache, PictureHashes
from maclip_runtime import PictureError, Scorer
from maclip_runtime.sources.pictures import Picture
from maclip_runtime.sources.preparation import PreparedFrame

_READ_AHEAD = 2  # decoded pictures that may wait for the engine


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

    def look_up(source: Source) -> _Ready:
        content, picture = source()
        cached = cache.load(content)
        return _Ready(content, cached, None if cached else scorer.prepare(picture))

    def finish(future: Future[_Ready]) -> Outcome:
        try:
            ready = future.result()
        except PictureError as error:
            return Outcome(None, False, error)
        if ready.prepared is None:
            return Outcome(ready.cached, False, None)
        encoded = Encoded(scorer.encode(ready.prepared), ready.prepared.enlarged)
        cache.store(ready.content, encoded)
        return Outcome(encoded, True, None)

    waiting: deque[Future[_Ready]] = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode") as decoder:
        try:
            for source in track(sources, "encoding"):
                waiting.append(decoder.submit(look_up, source))
                if len(waiting) > _READ_AHEAD:
                    yield finish(waiting.popleft())
            while waiting:
                yield finish(waiting.popleft())
        finally:  # also when the caller stops early
            for future in waiting:
                future.cancel()
