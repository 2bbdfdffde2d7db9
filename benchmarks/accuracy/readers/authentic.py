"""Databases of photographs as people take them: KonIQ-10k, SPAQ and FLIVE.

KonIQ-10k (Hosu et al., 2020): `1024x768/*.jpg`, and `koniq10k_scores_and_distributions.csv` with
`image_name, c1 .. c5, c_total, MOS, SD, MOS_zscore`: MOS from 1 to 5, MOS_zscore from 0 to 100. The
official split is in `koniq10k_distributions_sets.csv`, from the owners' code repository (there in
`metadata/`): `image_name, c1 .. c5, c_total, MOS, SD, set`, with `set` one of training, validation
and test, and with MOS on the scale from 0 to 100.

SPAQ (Fang et al., 2020): `TestImage/00001.jpg` to `11125.jpg`, and in `Annotations/` the workbook
`MOS and Image attribute scores.xlsx`, its first sheet headed `Image name, MOS, Brightness, ...`; a
later edition is called `MOS Std and Image attribute scores.xlsx`.

FLIVE, or PaQ-2-PiQ (Ying et al., 2020): `labels_image.csv` with `name, mos`; the names lead into
folders (`voc_emotic_ava/AVA__118715.jpg`, `blur_dataset/out_of_focus0084.JPG`, `EE371R/...`) of
`database/`, which the owners' preparation script fills from the sources' downloads.

Known from the owners' repositories (subpic/koniq, h4nwei/SPAQ, baidut/PaQ-2-PiQ and
niu-haoran/FLIVE_Database), which hold the first and the last list themselves, and from several
published loaders of SPAQ's workbook.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.accuracy.readers.dataset import (
    Dataset,
    DatasetError,
    RatedPicture,
    ReadOptions,
    Scale,
)
from benchmarks.accuracy.readers.files import (
    find_file,
    find_folder,
    parse_opinion,
    read_csv,
    read_sheet,
)

KONIQ_SPLITS = ("training", "validation", "test")
# The scores come in a zip file of their own, which some tools unpack into a folder of its name.
_KONIQ_SCORES = (
    "koniq10k_scores_and_distributions.csv",
    "koniq10k_scores_and_distributions/koniq10k_scores_and_distributions.csv",
)
_KONIQ_SETS = ("koniq10k_distributions_sets.csv", "metadata/koniq10k_distributions_sets.csv")


def read_koniq10k(root: Path, options: ReadOptions) -> Dataset:
    """KonIQ-10k's 10073 pictures, or one part of its official split."""
    folder = find_folder(root, "1024x768")
    if options.split:
        labels, column = find_file(root, *_KONIQ_SETS), "MOS"
    else:
        labels = find_file(root, *_KONIQ_SCORES, *_KONIQ_SETS)
        column = "MOS" if labels.name.endswith("_sets.csv") else "MOS_zscore"
    needed = ["image_name", column, *(["set"] if options.split else [])]
    pictures = tuple(
        RatedPicture(
            folder / row["image_name"], parse_opinion(row[column], place), row["image_name"]
        )
        for place, row in read_csv(labels, needed)
        if not options.split or row["set"] == options.split
    )
    if options.split and not pictures:
        raise DatasetError(f"{labels}: has no picture of the set {options.split!r}")
    part = f"the official {options.split} set" if options.split else "all pictures"
    notes = (part, f"scores: column {column} of {labels.name}")
    scale = Scale("MOS", "0 to 100", higher_is_better=True)
    return Dataset("koniq10k", "KonIQ-10k", scale, pictures, notes)


def read_spaq(root: Path, options: ReadOptions) -> Dataset:
    """SPAQ's 11125 smartphone photographs."""
    folder = find_folder(root, "TestImage")
    workbook = find_file(
        root,
        "Annotations/MOS and Image attribute scores.xlsx",
        "Annotations/MOS Std and Image attribute scores.xlsx",
    )
    pictures = tuple(
        RatedPicture(
            folder / str(row["Image name"]), parse_opinion(row["MOS"], place), row["Image name"]
        )
        for place, row in read_sheet(workbook, ("Image name", "MOS"))
    )
    return Dataset("spaq", "SPAQ", Scale("MOS", "0 to 100", higher_is_better=True), pictures)


def read_flive(root: Path, options: ReadOptions) -> Dataset:
    """FLIVE's pictures (39810 when complete); its patches are not read."""
    labels = find_file(root, "labels_image.csv", "database/labels_image.csv")
    folder = find_folder(root, "database", ".")
    pictures = tuple(
        RatedPicture(folder / row["name"], parse_opinion(row["mos"], place), row["name"])
        for place, row in read_csv(labels, ("name", "mos"))
    )
    notes = ("pictures only, no patches",)
    scale = Scale("MOS", "0 to 100", higher_is_better=True)
    return Dataset("flive", "FLIVE (PaQ-2-PiQ)", scale, pictures, notes)
