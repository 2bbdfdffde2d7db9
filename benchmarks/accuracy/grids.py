"""Grids of head constants over features that are encoded once.

Of each view only the similarity cue and the magnitude cue at every lambda are kept, so a whole dataset
fits in a few megabytes and a grid point costs a fusion and a rank correlation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.correlations import correlate_ranks
from benchmarks.accuracy.encoding import encode_pictures
from benchmarks.accuracy.evaluation import FEWEST
from benchmarks.accuracy.head import replace_constants
from benchmarks.accuracy.logistic import Values
from benchmarks.accuracy.readers import Dataset, DatasetError
from maclip_runtime import PictureError, Scorer
from maclip_runtime.method.fusion import fuse_cues, weigh_cues
from maclip_runtime.method.head import Head
from maclip_runtime.method.magnitude import measure_magnitude
from maclip_runtime.method.pixels import Floats
from maclip_runtime.method.similarity import measure_attributes

PUBLISHED_SETTING = Head()


@dataclass(frozen=True)
class Views:
    """Cues of all views of N pictures, one after another (T views in all).

    `similarity` is `[T]`, `magnitude` `[T]` for every lambda, `starts` `[N]` each picture's first
    view, `opinions` `[N]` the opinion scores, their sign turned where lower is better.
    """

    similarity: Floats
    magnitude: dict[float, Floats]
    starts: NDArray[np.intp]
    opinions: Values
    failures: tuple[PictureError, ...]

    def correlate(self, constants: Head) -> float:
        """SRCC of the fused scores under these constants."""
        magnitude = self.magnitude[constants.magnitude.boxcox_lambda]
        values = {"similarity": self.similarity, "magnitude": magnitude}
        bases = {name: cue.base for name, cue in constants.cues.items()}
        scores = fuse_cues(values, weigh_cues(values, bases, constants.alpha))
        counts = np.diff(self.starts, append=len(self.similarity))
        means = np.add.reduceat(scores.astype(np.float64), self.starts) / counts
        return correlate_ranks(means, self.opinions)


@dataclass(frozen=True)
class Grid:
    """SRCC `[R, C]` over two constants, and where in it the published setting stands."""

    title: str
    row_name: str
    rows: tuple[float, ...]
    column_name: str
    columns: tuple[float, ...]
    srcc: Values
    published: tuple[int, int]


def collect_views(dataset: Dataset, scorer: Scorer, lambdas: Sequence[float], cache: Path) -> Views:
    """Both cues of every view of every picture that can be encoded."""
    prompts, method = scorer.bundle.load_scored_prompts(), scorer.bundle.manifest.method
    similarity: list[Floats] = []
    magnitude: dict[float, list[Floats]] = {value: [] for value in lambdas}
    opinions: list[float] = []
    failures: list[PictureError] = []
    outcomes = encode_pictures(scorer, cache, [picture.path for picture in dataset.pictures])
    for picture, outcome in zip(dataset.pictures, outcomes, strict=True):
        if outcome.error is not None:
            failures.append(outcome.error)
        elif outcome.encoded is not None:
            features = outcome.encoded.features
            similarity.append(
                measure_attributes(features, prompts, method.logit_scale).mean(axis=1)
            )
            for value, views in magnitude.items():
                views.append(measure_magnitude(features, value))
            opinions.append(picture.opinion)
    if len(opinions) < FEWEST:
        raise DatasetError(
            f"{dataset.title}: only {len(opinions)} of {len(dataset.pictures)} pictures could be "
            "encoded; nothing to sweep over"
        )
    sign = 1.0 if dataset.scale.higher_is_better else -1.0
    lengths = np.array([len(views) for views in similarity])
    return Views(
        np.concatenate(similarity),
        {value: np.concatenate(views) for value, views in magnitude.items()},
        np.concatenate([[0], np.cumsum(lengths)[:-1]]),
        sign * np.array(opinions),
        tuple(failures),
    )


def sweep_shape(views: Views, lambdas: Sequence[float], alphas: Sequence[float]) -> Grid:
    """SRCC over lambda (rows) and alpha (columns), the bases as published."""
    values = [
        views.correlate(replace_constants(PUBLISHED_SETTING, boxcox_lambda=row, alpha=column))
        for row, column in product(lambdas, alphas)
    ]
    place = (
        lambdas.index(PUBLISHED_SETTING.magnitude.boxcox_lambda),
        alphas.index(PUBLISHED_SETTING.alpha),
    )
    title = "lambda and alpha, bases as published"
    return _make_grid(title, "lambda", lambdas, "alpha", alphas, values, place)


def sweep_bases(views: Views, similarity: Sequence[float], magnitude: Sequence[float]) -> Grid:
    """SRCC over the cues' bases, lambda and alpha as published.

    Only their difference enters the weights (a softmax over two logits), so the grid is constant
    along its diagonals; it is shown in full because the bases are published as two numbers.
    """
    values = [
        views.correlate(
            replace_constants(PUBLISHED_SETTING, similarity_base=row, magnitude_base=column)
        )
        for row, column in product(similarity, magnitude)
    ]
    place = (
        similarity.index(PUBLISHED_SETTING.similarity.base),
        magnitude.index(PUBLISHED_SETTING.magnitude.base),
    )
    title = "the two bases, lambda and alpha as published"
    names = ("similarity base", "magnitude base")
    return _make_grid(title, names[0], similarity, names[1], magnitude, values, place)


def _make_grid(
    title: str,
    row_name: str,
    rows: Sequence[float],
    column_name: str,
    columns: Sequence[float],
    values: list[float],
    published: tuple[int, int],
) -> Grid:
    srcc = np.array(values).reshape(len(rows), len(columns))
    return Grid(title, row_name, tuple(rows), column_name, tuple(columns), srcc, published)
