"""The scores of distortion ladders: every level encoded or found in the cache, and ranked by severity."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.accuracy.encoding import Source, encode_sources
from benchmarks.accuracy.head import CUES, BundleHead
from maclip_export.quality.distortions import distort
from maclip_export.quality.frames import limit_side
from maclip_export.quality.ladders import LadderSettings, SeverityRanking, Values, rank_severities
from maclip_runtime import PictureError, Scorer
from maclip_runtime.errors import UsageError
from maclip_runtime.method.pixels import Frame
from maclip_runtime.sources.paths import list_pictures
from maclip_runtime.sources.pictures import Picture, read_frame


@dataclass(frozen=True)
class LadderScores:
    """Cues of every level: `values` `[P, K, L, 3]` for P pictures, K kinds, L levels and CUES."""

    pictures: tuple[Path, ...]
    settings: LadderSettings
    values: Values
    failures: tuple[PictureError, ...]
    encoded: int
    cached: int


def load_frames(
    folder: Path, *, side: int, count: int | None = None
) -> tuple[dict[Path, Frame], list[PictureError]]:
    """Pictures of a folder (and below), none with a side longer than `side` pixels; and the failures.

    UsageError if there is none.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give one with good pictures")
    frames: dict[Path, Frame] = {}
    failures = []
    for path in list_pictures(folder, recursive=True):
        if len(frames) == count:
            break
        try:
            frames[path] = limit_side(read_frame(path), side)
        except PictureError as error:
            failures.append(error)
    if not frames:
        raise UsageError(f"{folder}: has no picture that can be read; give one with good pictures")
    return frames, failures


def score_ladders(
    frames: dict[Path, Frame],
    settings: LadderSettings,
    scorer: Scorer,
    head: BundleHead,
    cache: Path,
    failures: Sequence[PictureError] = (),
) -> LadderScores:
    """Distort, encode and score every level of every ladder."""
    outcomes = encode_sources(scorer, cache, list(_list_levels(frames, settings)))
    rows, fresh = [], 0
    for outcome in outcomes:
        if outcome.encoded is None:
            # A frame that was read, and distorted without changing its size, can be encoded.
            raise outcome.error or RuntimeError("a level has neither features nor an error")
        rows.append(head.score(outcome.encoded.features))
        fresh += outcome.fresh
    shape = (len(frames), len(settings.kinds), len(settings.levels), len(CUES))
    values = np.array(rows, dtype=np.float64).reshape(shape)
    return LadderScores(tuple(frames), settings, values, tuple(failures), fresh, len(rows) - fresh)


def _list_levels(frames: dict[Path, Frame], settings: LadderSettings) -> Iterator[Source]:
    for frame, kind, severity in product(frames.values(), settings.kinds, settings.levels):
        yield partial(_make_level, frame, kind, severity, settings.seed)


def _make_level(frame: Frame, kind: str, severity: float, seed: int) -> tuple[str, Picture]:
    level = np.ascontiguousarray(distort(frame, kind, severity, seed))
    digest = hashlib.sha256(f"frame {level.shape} ".encode())
    digest.update(level.data)
    return digest.hexdigest(), level


def rank_all(scores: LadderScores) -> dict[str, dict[str, SeverityRanking]]:
    """The ranking of every kind and cue, by name."""
    levels = scores.settings.levels
    return {
        kind: {
            name: rank_severities(levels, scores.values[:, k, :, c]) for c, name in enumerate(CUES)
        }
        for k, kind in enumerate(scores.settings.kinds)
    }
