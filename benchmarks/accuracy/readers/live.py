"""The databases of the Laboratory for Image and Video Engineering (LIVE), UT Austin.

LIVE In the Wild Image Quality Challenge (CLIVE; Ghadiyaram and Bovik, 2016), unpacked as
`ChallengeDB_release`: `Images/*.{bmp,jpg,JPG}`, `Images/trainingImages/t1.bmp` to `t7.bmp`, and in
`Data/` the cell array `AllImages_release` [1169, 1] beside `AllMOS_release` [1, 1169]. The first
seven entries are the pictures that trained the observers; the 1162 after them are the database.

LIVE Image Quality Assessment Database, release 2 (Sheikh et al., 2006): folders `jp2k` (227
pictures), `jpeg` (233), `wn`, `gblur` and `fastfading` (174 each) with `img1.bmp`, `img2.bmp`, ...,
and `refimgs`. `dmos.mat` holds `dmos` and `orgs` [1, 982], `refnames_all.mat` the cell array
`refnames_all`, all in the folders' order above; `orgs` is 1 where the picture is an undistorted copy
of its original, which leaves 779. `dmos_realigned.mat` holds `dmos_new`, the scores after the second
study that aligned the five sessions.

Known from the databases' own readme texts and published scripts that read them: IQA-PyTorch's
`process_livechallenge.py` and `process_live.py`, and several PyTorch loaders of both.
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
    index_pictures,
    parse_opinion,
    read_mat,
    read_mat_names,
)

TRAINING_PICTURES = frozenset(f"t{number}.bmp" for number in range(1, 8))
LIVE_FOLDERS: tuple[tuple[str, int], ...] = (
    ("jp2k", 227),
    ("jpeg", 233),
    ("wn", 174),
    ("gblur", 174),
    ("fastfading", 174),
)


def read_clive(root: Path, options: ReadOptions) -> Dataset:
    """The 1162 pictures of the LIVE Challenge; the observers' seven training pictures left out."""
    folder = find_folder(root, "Images")
    names_path = find_file(root, "Data/AllImages_release.mat")
    scores_path = find_file(root, "Data/AllMOS_release.mat")
    names = read_mat_names(names_path, "AllImages_release")
    scores = read_mat(scores_path, "AllMOS_release")
    if len(names) != len(scores):
        raise DatasetError(
            f"{scores_path}: {len(scores)} scores for {len(names)} names; use the owners' files"
        )
    pictures = tuple(
        RatedPicture(folder / name, parse_opinion(score, f"{scores_path} ({name})"), name)
        for name, score in zip(names, scores, strict=True)
        if name not in TRAINING_PICTURES
    )
    left_out = len(names) - len(pictures)
    notes = (f"{left_out} training pictures of the observers left out",)
    scale = Scale("MOS", "0 to 100", higher_is_better=True)
    return Dataset("clive", "LIVE Challenge (CLIVE)", scale, pictures, notes)


def read_live(root: Path, options: ReadOptions) -> Dataset:
    """LIVE release 2: the distorted pictures, by their realigned DMOS where it is there."""
    references_path = find_file(root, "refnames_all.mat")
    realigned = (root / "dmos_realigned.mat").is_file()
    scores_path = find_file(root, "dmos_realigned.mat", "dmos.mat")
    scores = read_mat(scores_path, "dmos_new" if realigned else "dmos")
    originals = read_mat(scores_path, "orgs")
    references = read_mat_names(references_path, "refnames_all")
    if not len(scores) == len(originals) == len(references):
        raise DatasetError(
            f"{scores_path}: {len(scores)} scores and {len(originals)} flags for "
            f"{len(references)} names in {references_path.name}; use the owners' files"
        )
    paths = _list_live(root, len(scores))
    pictures = tuple(
        RatedPicture(path, parse_opinion(score, f"{scores_path} ({path.name})"), reference)
        for path, score, original, reference in zip(
            paths, scores, originals, references, strict=True
        )
        if not original
    )
    left_out = len(paths) - len(pictures)
    notes = (
        f"scores from {scores_path.name}",
        f"{left_out} undistorted copies of originals left out",
    )
    scale = Scale("DMOS", "about 0 to 100", higher_is_better=False)
    return Dataset("live", "LIVE release 2", scale, pictures, notes)


def _list_live(root: Path, count: int) -> list[Path]:
    """Every picture's path in the order of the scores: folder by folder, by number."""
    if count == sum(size for _, size in LIVE_FOLDERS):
        sizes = LIVE_FOLDERS
    else:  # a part of the database: the numbering goes on as far as each folder has pictures
        sizes = tuple(
            (name, len(index_pictures([find_folder(root, name)], (".bmp",))))
            for name, _ in LIVE_FOLDERS
        )
    paths = [root / name / f"img{i}.bmp" for name, size in sizes for i in range(1, size + 1)]
    if len(paths) != count:
        raise DatasetError(
            f"{root}: {len(paths)} pictures for {count} scores; unpack the whole database"
        )
    return paths
