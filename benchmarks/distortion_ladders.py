"""Distortion ladders: good pictures made worse step by step, and whether the scores follow.

A ladder is one picture under one kind of distortion at growing severities, the pristine picture as its
first rung. What a score should do is known without asking anybody: fall from rung to rung. Whether a
severity looks as bad in one kind as in another is not known, so kinds are never compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from correlations import correlate_ranks
from encoding import Source, encode_sources
from judging import CUES, Judge
from logistic import Values
from maclip_export.distortions import distort
from maclip_runtime import PictureError, Scorer
from maclip_runtime.errors import UsageError
from maclip_runtime.method.pixels import Frame
from maclip_runtime.sources.paths import list_pictures
from maclip_runtime.sources.pictures import Picture, read_frame


@dataclass(frozen=True)
class Plan:
    """Which ladders to climb: kinds, severities in (0, 1] above the pristine rung, and the seed."""

    kinds: tuple[str, ...]
    severities: tuple[float, ...]
    seed: int

    @property
    def rungs(self) -> tuple[float, ...]:
        """All severities of a ladder, the pristine 0 first."""
        return (0.0, *self.severities)


@dataclass(frozen=True)
class Climb:
    """Cues of every rung: `values` `[P, K, L, 3]` for P pictures, K kinds, L rungs and CUES."""

    pictures: tuple[Path, ...]
    plan: Plan
    values: Values
    failures: tuple[PictureError, ...]
    encoded: int
    cached: int


@dataclass(frozen=True)
class Ranking:
    """How well one cue follows the ladders of one kind; 1 is perfect.

    `srcc`: of severity against falling scores, over all rungs of all pictures together. `within`: the
    same in each picture by itself, averaged. `ordered`: the share of neighbouring rungs of which the
    milder one scores higher.
    """

    srcc: float
    within: float
    ordered: float


def load_frames(
    folder: Path, *, side: int, count: int | None = None
) -> tuple[dict[Path, Frame], list[PictureError]]:
    """Pictures of a folder (and below), none with a side longer than `side` pixels; and the failures.

    Larger ones are scaled down with an antialiasing filter, which also removes most of what their own
    compression left in them.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give one with good pictures")
    frames: dict[Path, Frame] = {}
    failures = []
    for path in list_pictures(folder, recursive=True):
        if len(frames) == count:
            break
        try:
            frames[path] = _limit_side(read_frame(path), side)
        except PictureError as error:
            failures.append(error)
    if not frames:
        raise UsageError(f"{folder}: has no picture that can be read; give one with good pictures")
    return frames, failures


def _limit_side(frame: Frame, side: int) -> Frame:
    height, width = frame.shape[:2]
    if max(height, width) <= side:
        return frame
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


def climb_ladders(
    frames: dict[Path, Frame],
    plan: Plan,
    scorer: Scorer,
    judge: Judge,
    cache: Path,
    failures: Sequence[PictureError] = (),
) -> Climb:
    """Distort, encode and judge every rung of every ladder."""
    outcomes = encode_sources(scorer, cache, list(_list_rungs(frames, plan)))
    rows, fresh = [], 0
    for outcome in outcomes:
        if outcome.encoded is None:
            # A frame that was read, and distorted without changing its size, can be encoded.
            raise outcome.error or RuntimeError("a rung has neither features nor an error")
        rows.append(judge.judge(outcome.encoded.features))
        fresh += outcome.fresh
    shape = (len(frames), len(plan.kinds), len(plan.rungs), len(CUES))
    values = np.array(rows, dtype=np.float64).reshape(shape)
    return Climb(tuple(frames), plan, values, tuple(failures), fresh, len(rows) - fresh)


def _list_rungs(frames: dict[Path, Frame], plan: Plan) -> Iterator[Source]:
    for frame, kind, severity in product(frames.values(), plan.kinds, plan.rungs):
        yield partial(_make_rung, frame, kind, severity, plan.seed)


def _make_rung(frame: Frame, kind: str, severity: float, seed: int) -> tuple[str, Picture]:
    rung = np.ascontiguousarray(distort(frame, kind, severity, seed))
    digest = hashlib.sha256(f"frame {rung.shape} ".encode())
    digest.update(rung.data)
    return digest.hexdigest(), rung


def rank_kind(climb: Climb, kind: int, cue: int) -> Ranking:
    """How cue number `cue` follows the ladders of kind number `kind`."""
    scores = climb.values[:, kind, :, cue]
    severities = np.array(climb.plan.rungs)
    everywhere = np.tile(severities, len(scores))
    return Ranking(
        srcc=-correlate_ranks(everywhere, scores.ravel()),
        within=float(np.mean([-correlate_ranks(severities, ladder) for ladder in scores])),
        ordered=float((np.diff(scores, axis=1) < 0).mean()),
    )


def rank_all(climb: Climb) -> dict[str, dict[str, Ranking]]:
    """The ranking of every kind and cue, by name."""
    return {
        kind: {name: rank_kind(climb, k, c) for c, name in enumerate(CUES)}
        for k, kind in enumerate(climb.plan.kinds)
    }
