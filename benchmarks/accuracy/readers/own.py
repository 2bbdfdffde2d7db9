"""Anyone's own ratings: a CSV file of paths and scores.

The header names `path` and `score`; paths are relative to the root folder. A third column,
`content`, may name the scene that several pictures share.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.accuracy.readers.dataset import Dataset, RatedPicture, ReadOptions, Scale
from benchmarks.accuracy.readers.files import find_file, parse_opinion, read_csv


def read_own(root: Path, options: ReadOptions) -> Dataset:
    """Pictures listed in `--labels`, or in `scores.csv` in the root folder."""
    labels = options.labels or find_file(root, "scores.csv")
    pictures = tuple(
        RatedPicture(
            root / row["path"],
            parse_opinion(row["score"], place),
            row.get("content") or row["path"],
        )
        for place, row in read_csv(labels, ("path", "score"))
    )
    scale = Scale("score", "own scale", higher_is_better=not options.lower_is_better)
    return Dataset("csv", labels.stem, scale, pictures)
