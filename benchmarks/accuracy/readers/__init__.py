"""Readers of opinion-score datasets, each as its owners distribute it.

A module per family; what a layout is, and where that is known from, is in the modules' docstrings.
No dataset could be had when these were written: every reader has been run on a miniature only, made
by the tests in the owners' layout.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.accuracy.readers.authentic import KONIQ_SPLITS, read_flive, read_koniq10k, read_spaq
from benchmarks.accuracy.readers.dataset import (
    Dataset,
    DatasetError,
    RatedPicture,
    Reader,
    ReadOptions,
    Scale,
)
from benchmarks.accuracy.readers.distorted import read_csiq, read_kadid10k, read_pipal, read_tid2013
from benchmarks.accuracy.readers.generated import read_agiqa1k, read_agiqa3k
from benchmarks.accuracy.readers.live import read_clive, read_live
from benchmarks.accuracy.readers.own import read_own
from maclip_runtime.errors import UsageError

READERS = {
    "clive": Reader("LIVE Challenge (CLIVE)", read_clive),
    "live": Reader("LIVE release 2", read_live),
    "csiq": Reader("CSIQ", read_csiq),
    "tid2013": Reader("TID2013", read_tid2013),
    "kadid10k": Reader("KADID-10k", read_kadid10k),
    "koniq10k": Reader("KonIQ-10k", read_koniq10k, splits=KONIQ_SPLITS),
    "spaq": Reader("SPAQ", read_spaq, preset="448"),
    "flive": Reader("FLIVE (PaQ-2-PiQ)", read_flive),
    "pipal": Reader("PIPAL", read_pipal),
    "agiqa1k": Reader("AGIQA-1K", read_agiqa1k, preset="224"),
    "agiqa3k": Reader("AGIQA-3K", read_agiqa3k),
    "csv": Reader("your own CSV file", read_own),
}


def read_dataset(name: str, root: Path, options: ReadOptions) -> Dataset:
    """Read a dataset by its name in READERS; DatasetError or UsageError if it can't be."""
    if name not in READERS:
        raise UsageError(f"unknown dataset {name!r}; use one of {', '.join(READERS)}")
    reader = READERS[name]
    if options.split is not None and options.split not in reader.splits:
        has = ", ".join(reader.splits) or "none"
        raise UsageError(f"{name} has no official split {options.split!r} (it has: {has})")
    if name != "csv" and (options.labels or options.lower_is_better):
        raise UsageError(
            f"{name} brings its own scores; --labels and --lower-is-better are for csv"
        )
    dataset = reader.read(root, options)
    if not dataset.pictures:
        raise DatasetError(
            f"{root}: the annotations of {name} list no pictures; download them again"
        )
    return dataset


__all__ = [
    "READERS",
    "Dataset",
    "DatasetError",
    "RatedPicture",
    "ReadOptions",
    "Reader",
    "Scale",
    "read_dataset",
]
