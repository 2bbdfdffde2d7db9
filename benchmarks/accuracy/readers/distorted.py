"""Databases of originals distorted on purpose: CSIQ, TID2013, KADID-10k and PIPAL.

CSIQ (Larson and Chandler, 2010): `dst_imgs/<type>/<original>.<TYPE>.<level>.png`, the type in upper
case in some names (`AWGN`, `BLUR`, `JPEG`) and not in others (`jpeg2000`, `fnoise`, `contrast`).
`csiq.DMOS.xlsx` has a sheet `all_by_image` whose header stands in the fourth row, from the fourth
column: `image, dst_idx, dst_type, dst_lev, dmos_std, dmos`; 866 rows; one original is called 1600
and is a number in the sheet; the types there are `noise, blur, contrast, fnoise, jpeg, jpeg 2000`.

TID2013 (Ponomarenko et al., 2015): `mos_with_names.txt` has 3000 lines of a score and a name;
`distorted_images/` has 25 originals x 24 types x 5 levels. Names mix upper and lower case within the
list and between the list and the folder (`I22_11_1.BMP` beside `i22_11_2.bmp`).

KADID-10k (Lin et al., 2019): `dmos.csv` with `dist_img, ref_img, dmos, var` and `images/`. In spite
of its name the column `dmos` grows with quality, from 1 to 5.

PIPAL (Gu et al., 2020): `Train_Label/A0001.txt`, one file an original, with lines of a name and its
Elo score (`A0001_00_00.bmp,1520.0648`); the pictures come in four archives, which people unpack to
`Train_Dist`, `Dist_Imgs` or `Distortion_1` to `Distortion_4`. Only the training part has scores.

Known from IQA-PyTorch's `process_tid.py` and `process_pipal.py`, published readers of CSIQ's
workbook with openpyxl and pandas, the readme texts of projects that lay PIPAL out, and the lists that
MA-CLIP's authors publish with their code.
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
    read_csv,
    read_sheet,
)

CSIQ_TYPES = {
    "noise": "awgn",
    "blur": "blur",
    "contrast": "contrast",
    "fnoise": "fnoise",
    "jpeg": "jpeg",
    "jpeg 2000": "jpeg2000",
}


def read_csiq(root: Path, options: ReadOptions) -> Dataset:
    """CSIQ's 866 distorted pictures and their DMOS."""
    workbook = find_file(root, "csiq.DMOS.xlsx")
    folder = find_folder(root, "dst_imgs")
    index = index_pictures([folder], (".png",))
    columns = ("image", "dst_type", "dst_lev", "dmos")
    pictures = []
    for place, row in read_sheet(workbook, columns, sheet="all_by_image"):
        kind = CSIQ_TYPES.get(str(row["dst_type"]).strip().lower())
        if kind is None:
            raise DatasetError(
                f"{place}: unknown distortion {row['dst_type']!r}; use the owners' file, unchanged"
            )
        image = str(row["image"]).removesuffix(".0").strip()  # one original is the number 1600
        name = f"{image}.{kind}.{int(parse_opinion(row['dst_lev'], place))}.png"
        path = index.get(name.lower(), folder / kind / name)
        pictures.append(RatedPicture(path, parse_opinion(row["dmos"], place), image))
    scale = Scale("DMOS", "0 to 1", higher_is_better=False)
    return Dataset("csiq", "CSIQ", scale, tuple(pictures))


def read_tid2013(root: Path, options: ReadOptions) -> Dataset:
    """TID2013's 3000 distorted pictures and their MOS."""
    labels = find_file(root, "mos_with_names.txt")
    folder = find_folder(root, "distorted_images")
    index = index_pictures([folder], (".bmp",))
    pictures = []
    for number, line in enumerate(labels.read_text(encoding="latin-1").splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{labels}:{number}"
        fields = line.split()
        if len(fields) != 2:
            raise DatasetError(f"{place}: not a score and a name; use the owners' file, unchanged")
        path = index.get(fields[1].lower(), folder / fields[1])
        original = fields[1][:3].lower()
        pictures.append(RatedPicture(path, parse_opinion(fields[0], place), original))
    scale = Scale("MOS", "0 to 9", higher_is_better=True)
    return Dataset("tid2013", "TID2013", scale, tuple(pictures))


def read_kadid10k(root: Path, options: ReadOptions) -> Dataset:
    """KADID-10k's 10125 distorted pictures."""
    labels = find_file(root, "dmos.csv", "kadid10k/dmos.csv")
    folder = find_folder(labels.parent, "images")
    pictures = tuple(
        RatedPicture(
            folder / row["dist_img"].strip(), parse_opinion(row["dmos"], place), row["ref_img"]
        )
        for place, row in read_csv(labels, ("dist_img", "ref_img", "dmos"))
    )
    notes = ("the column is called dmos, but grows with quality",)
    scale = Scale("DMOS (a MOS by its direction)", "1 to 5", higher_is_better=True)
    return Dataset("kadid10k", "KADID-10k", scale, pictures, notes)


def read_pipal(root: Path, options: ReadOptions) -> Dataset:
    """PIPAL's training part, the one with public scores: 23200 pictures of 200 originals."""
    folder = find_folder(root, "Train_Label")
    labels = sorted(folder.glob("*.txt"))
    if not labels:
        raise DatasetError(f"{folder}: has no score files (A0001.txt, ...); unpack it again")
    sources = [
        path
        for path in sorted(root.iterdir())
        if path.is_dir() and path.name.lower().startswith(("train_dist", "dist"))
    ]
    if not sources:
        raise DatasetError(f"{root}: has no folder Train_Dist or Distortion_1 ...; unpack it there")
    index = index_pictures(sources, (".bmp", ".png"))
    pictures = []
    for path in labels:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            name, comma, score = (part.strip() for part in line.partition(","))
            if not comma:
                raise DatasetError(f"{path}:{number}: not a name and a score; unpack it again")
            picture = index.get(name.lower(), sources[0] / name)
            opinion = parse_opinion(score, f"{path}:{number}")
            pictures.append(RatedPicture(picture, opinion, path.stem))
    scale = Scale("Elo score", "about 900 to 1900", higher_is_better=True)
    return Dataset("pipal", "PIPAL (training part)", scale, tuple(pictures))
