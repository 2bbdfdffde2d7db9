"""A dataset evaluated: every picture's cues, and their agreement with the opinions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.correlations import Agreement, measure_agreement
from benchmarks.accuracy.encoding import encode_pictures
from benchmarks.accuracy.head import CUES, BundleHead
from benchmarks.accuracy.logistic import Values
from benchmarks.accuracy.readers import Dataset, DatasetError, RatedPicture
from maclip_runtime import PictureError, Scorer

FEWEST = 3  # pictures; fewer have no correlation worth the name


@dataclass(frozen=True)
class Scored:
    """The pictures of a dataset that could be scored, and what became of the others.

    `cues` has `[N]` means over the views for each of CUES, in the order of `pictures`. `encoded`
    pictures were encoded in this run, `cached` ones found in the cache; `enlarged` ones were smaller
    than a view, which is out of the published method.
    """

    pictures: tuple[RatedPicture, ...]
    cues: dict[str, Values]
    failures: tuple[PictureError, ...]
    encoded: int
    cached: int
    enlarged: int

    @property
    def opinions(self) -> Values:
        """The opinion scores `[N]`, in the owners' units."""
        return np.array([picture.opinion for picture in self.pictures])


def score_dataset(dataset: Dataset, scorer: Scorer, head: BundleHead, cache: Path) -> Scored:
    """Score every picture; DatasetError if fewer than three can be."""
    kept, values, failures = [], [], []
    fresh = enlarged = 0
    outcomes = encode_pictures(scorer, cache, [picture.path for picture in dataset.pictures])
    for picture, outcome in zip(dataset.pictures, outcomes, strict=True):
        if outcome.error is not None:
            failures.append(outcome.error)
        elif outcome.encoded is not None:
            kept.append(picture)
            values.append(head.score(outcome.encoded.features))
            fresh += outcome.fresh
            enlarged += outcome.encoded.enlarged
    if len(kept) < FEWEST:
        first = f"; the first that failed: {failures[0]}" if failures else ""
        raise DatasetError(
            f"{dataset.title}: only {len(kept)} of {len(dataset.pictures)} pictures could be scored"
            f"{first}"
        )
    table = np.array(values, dtype=np.float64)
    cues = {name: table[:, column] for column, name in enumerate(CUES)}
    return Scored(tuple(kept), cues, tuple(failures), fresh, len(kept) - fresh, enlarged)


def compare_cues(
    scored: Scored, dataset: Dataset, *, resamples: int, seed: int
) -> dict[str, Agreement]:
    """The agreement of the fused score and of each cue alone."""
    contents = [picture.content for picture in scored.pictures]
    return {
        name: measure_agreement(
            scored.cues[name],
            scored.opinions,
            contents,
            higher_is_better=dataset.scale.higher_is_better,
            resamples=resamples,
            seed=seed,
        )
        for name in CUES
    }
