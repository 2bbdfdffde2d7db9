"""Databases of generated pictures: AGIQA-1K and AGIQA-3K.

AGIQA-1K (Zhang et al., 2023): `file.zip`, which unpacks to `file/`, and `AIGC_MOS_Zscore.xlsx` with
`Image, Prompt, MOS` for 1080 pictures. The owners' list names a few pictures twice, with two scores.

AGIQA-3K (Li et al., 2023): a zip of 2982 pictures and `data.csv` with `name, prompt, adj1, adj2,
style, mos_quality, std_quality, mos_align, std_align`; prompts hold commas inside quotes. The quality
score is the one read here, not the alignment with the prompt.

Known from the owners' repositories (lcysyzxdxc/AGIQA-1k-Database and AGIQA-3k-Database), the second
of which holds its list, and from published loaders. Where the zip files unpack to differs between
those loaders, so the usual names are tried.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks.accuracy.readers.dataset import (
    Dataset,
    DatasetError,
    RatedPicture,
    ReadOptions,
    Scale,
)
from benchmarks.accuracy.readers.files import find_file, parse_opinion, read_csv, read_sheet


def read_agiqa1k(root: Path, options: ReadOptions) -> Dataset:
    """AGIQA-1K's 1080 generated pictures."""
    workbook = find_file(root, "AIGC_MOS_Zscore.xlsx")
    rated = [
        (str(row["Image"]).strip(), parse_opinion(row["MOS"], place))
        for place, row in read_sheet(workbook, ("Image", "MOS"))
    ]
    folder = _find_pictures(root, rated, "file", "images")
    twice = sum(count > 1 for count in Counter(name for name, _ in rated).values())
    pictures = tuple(RatedPicture(folder / name, opinion, name) for name, opinion in rated)
    notes = (f"{twice} pictures are listed twice, with two scores; kept so",) if twice else ()
    scale = Scale("MOS", "normalised, about 0 to 5", higher_is_better=True)
    return Dataset("agiqa1k", "AGIQA-1K", scale, pictures, notes)


def read_agiqa3k(root: Path, options: ReadOptions) -> Dataset:
    """AGIQA-3K's 2982 generated pictures, by their perceptual quality."""
    rated = [
        (row["name"].strip(), parse_opinion(row["mos_quality"], place))
        for place, row in read_csv(find_file(root, "data.csv"), ("name", "mos_quality"))
    ]
    folder = _find_pictures(root, rated, "file", "AGIQA-3K", "images", "image", ".")
    pictures = tuple(RatedPicture(folder / name, opinion, name) for name, opinion in rated)
    notes = ("perceptual quality (mos_quality), not alignment with the prompt",)
    scale = Scale("MOS", "normalised, about 0 to 5", higher_is_better=True)
    return Dataset("agiqa3k", "AGIQA-3K", scale, pictures, notes)


def _find_pictures(root: Path, rated: list[tuple[str, float]], *folders: str) -> Path:
    """The folder that has at least one of the listed pictures."""
    for folder in folders:
        if any((root / folder / name).is_file() for name, _ in rated):
            return root / folder
    names = " or ".join(repr(folder) for folder in folders)
    raise DatasetError(f"{root}: no listed picture in {names}; unpack the pictures' zip file there")
