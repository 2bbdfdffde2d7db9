"""Miniatures of the datasets: a handful of tiny pictures under the owners' names, and annotation files
in the owners' formats, with their quirks. What the formats are is told in benchmarks/accuracy/readers.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import openpyxl
from PIL import Image
from scipy.io import savemat

SIZE = (48, 40)  # width, height; the runtime enlarges it to one window and a global view


def write_picture(path: Path, number: int) -> None:
    """A tiny picture that grows noisier with its number."""
    width, height = SIZE
    rng = np.random.default_rng(number)
    ramp = np.linspace(40, 200, width)[None, :, None] + np.linspace(-30, 30, height)[:, None, None]
    pixels = ramp + rng.normal(0, 4 + 6 * number, (height, width, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def write_pictures(folder: Path, names: Iterable[str]) -> None:
    for number, name in enumerate(names):
        write_picture(folder / name, number)


def make_cells(names: Sequence[str]) -> np.ndarray:
    """A MATLAB cell array of strings."""
    cells = np.empty(len(names), dtype=object)
    cells[:] = names
    return cells


def make_clive(root: Path) -> None:
    training = [f"t{number}.bmp" for number in range(1, 8)]
    names = ["3.bmp", "4.bmp", "10.bmp", "723.bmp", "1160.JPG", "1024.jpg"]
    write_pictures(root / "Images" / "trainingImages", training)
    write_pictures(root / "Images", names)
    listed = training + names
    scores = np.concatenate([np.full(7, 99.0), np.linspace(80, 20, len(names))])
    (root / "Data").mkdir()
    column = make_cells(listed)[:, None]
    savemat(root / "Data" / "AllImages_release.mat", {"AllImages_release": column})
    savemat(root / "Data" / "AllMOS_release.mat", {"AllMOS_release": scores[None, :]})
    savemat(root / "Data" / "AllStdDev_release.mat", {"AllStdDev_release": scores[None, :] / 5})


def make_live(root: Path) -> None:
    folders = ("jp2k", "jpeg", "wn", "gblur", "fastfading")
    for folder in folders:
        write_pictures(root / folder, [f"img{number}.bmp" for number in (1, 2, 3)])
    write_pictures(root / "refimgs", ["bikes.bmp", "parrots.bmp"])
    count = 3 * len(folders)
    originals = np.array([0, 0, 1] * len(folders))  # the third of each is an undistorted copy
    dmos = np.where(originals == 1, 0.0, np.linspace(20, 80, count))
    references = make_cells(["bikes.bmp", "parrots.bmp", "bikes.bmp"] * len(folders))
    savemat(root / "refnames_all.mat", {"refnames_all": references[None, :]})
    savemat(root / "dmos.mat", {"dmos": dmos[None, :], "orgs": originals[None, :]})
    realigned = {
        "dmos_new": dmos[None, :] + 1,
        "dmos_std": np.ones((1, count)),
        "orgs": originals[None, :],
    }
    savemat(root / "dmos_realigned.mat", realigned)


CSIQ_NAMES = {
    "noise": ("awgn", "AWGN"),
    "jpeg": ("jpeg", "JPEG"),
    "jpeg 2000": ("jpeg2000", "jpeg2000"),
    "fnoise": ("fnoise", "fnoise"),
    "blur": ("blur", "BLUR"),
    "contrast": ("contrast", "contrast"),
}


def make_csiq(root: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "all_by_image"
    sheet["D2"] = "CSIQ DMOS by image"
    header = ["image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"]
    for column, title in enumerate(header, start=4):
        sheet.cell(4, column, title)
    row = 5
    for image in (1600, "aerial_city"):  # the first is a number in the owners' sheet
        for index, (kind, (folder, token)) in enumerate(CSIQ_NAMES.items(), start=1):
            write_picture(root / "dst_imgs" / folder / f"{image}.{token}.2.png", row)
            values = [image, index, kind, 2, 0.05, row / 20]
            for column, value in enumerate(values, start=4):
                sheet.cell(row, column, value)
            row += 1
    sheet.cell(row + 2, 9, None)
    book.create_sheet("all_by_distortion")
    book.save(root / "csiq.DMOS.xlsx")
    write_pictures(root / "src_imgs", ["1600.png", "aerial_city.png"])


def make_tid2013(root: Path) -> None:
    listed = ["I01_01_1.bmp", "i01_01_2.bmp", "I22_11_1.BMP", "i22_11_2.bmp", "i25_24_5.bmp"]
    stored = ["i01_01_1.bmp", "i01_01_2.bmp", "I22_11_1.BMP", "I22_11_2.bmp", "i25_24_5.bmp"]
    write_pictures(root / "distorted_images", stored)
    write_pictures(root / "reference_images", ["I01.BMP", "I22.BMP", "i25.bmp"])
    lines = [
        f"{score:.5f} {name}\r\n" for score, name in zip((5.5, 5, 4, 3, 0.9), listed, strict=True)
    ]
    (root / "mos_with_names.txt").write_text("".join(lines), newline="")


def make_kadid10k(root: Path) -> None:
    names = [f"I{ref:02d}_01_{level:02d}.png" for ref in (1, 2) for level in (1, 2, 3)]
    write_pictures(root / "images", [*names, "I01.png", "I02.png"])
    rows = [(name, f"{name[:3]}.png", 4.5 - 0.4 * i, 0.5) for i, name in enumerate(names)]
    write_rows(root / "dmos.csv", ("dist_img", "ref_img", "dmos", "var"), rows)


KONIQ = {"10004473376.jpg": "training", "10007357496.jpg": "test", "10043785683.jpg": "validation",
         "10020766793.jpg": "test", "10020891105.jpg": "test"}  # fmt: skip


def make_koniq10k(root: Path) -> None:
    write_pictures(root / "1024x768", KONIQ)
    shares = (0.0, 0.1, 0.4, 0.4, 0.1)
    names = ("c1", "c2", "c3", "c4", "c5", "c_total", "MOS", "SD")
    rows = [(name, *shares, 105, 4.1 - 0.5 * i, 0.5, 77.0 - 10 * i) for i, name in enumerate(KONIQ)]
    header = ("image_name", *names, "MOS_zscore")
    write_rows(root / "koniq10k_scores_and_distributions.csv", header, rows)
    # In the code repository's file the column MOS has the scale of MOS_zscore.
    sets = [
        (name, *shares, 105, 77.0 - 10 * i, 0.5, part)
        for i, (name, part) in enumerate(KONIQ.items())
    ]
    write_rows(root / "koniq10k_distributions_sets.csv", ("image_name", *names, "set"), sets)


def make_spaq(root: Path) -> None:
    names = [f"{number:05d}.jpg" for number in range(1, 6)]
    write_pictures(root / "TestImage", names)
    header = [
        "Image name",
        "MOS",
        "Brightness",
        "Colorfulness",
        "Contrast",
        "Noisiness",
        "Sharpness",
    ]
    rows = [[name, 70.5 - 9 * i, 50, 50, 50, 50, 50] for i, name in enumerate(names)]
    (root / "Annotations").mkdir()
    write_sheet(root / "Annotations" / "MOS and Image attribute scores.xlsx", [header, *rows])


def make_flive(root: Path) -> None:
    names = [
        "voc_emotic_ava/JPEGImages__2008_007527.jpg",
        "voc_emotic_ava/AVA__118715.jpg",
        "blur_dataset/motion0116.jpg",
        "blur_dataset/out_of_focus0084.JPG",
        "EE371R/rq59.jpg",
    ]
    write_pictures(root / "database", names)
    rows = [(name, 79.8 - 6 * i) for i, name in enumerate(names)]
    write_rows(root / "labels_image.csv", ("name", "mos"), rows)


def make_pipal(root: Path) -> None:
    (root / "Train_Label").mkdir()
    for part, original in enumerate(("A0001", "A0060"), start=1):
        names = [f"{original}_{kind:02d}_{level:02d}.bmp" for kind in (0, 1) for level in (0, 1)]
        write_pictures(root / f"Distortion_{part}", names)
        lines = [f"{name},{1520.0648 - 40 * i}\n" for i, name in enumerate(names)]
        (root / "Train_Label" / f"{original}.txt").write_text("".join(lines))
    write_pictures(root / "Train_Ref", ["A0001.bmp", "A0060.bmp"])


def make_agiqa1k(root: Path) -> None:
    names = ["deepai_0_0_0_0.jpg", "deepai_1_1_0_1.jpg", "dreamStudio_2_2_1_0.jpg",
             "dreamStudio_8_9_1_1.jpg"]  # fmt: skip
    write_pictures(root / "file", names)
    listed = [*names, names[-1]]  # the owners' list has the last name twice, with two scores
    rows = [[name, "bird, driving car, city", 2.8 - 0.5 * i] for i, name in enumerate(listed)]
    write_sheet(root / "AIGC_MOS_Zscore.xlsx", [["Image", "Prompt", "MOS"], *rows])


def make_agiqa3k(root: Path) -> None:
    names = [f"AttnGAN_normal_{number:03d}.jpg" for number in (0, 1, 60, 61, 120)]
    write_pictures(root, names)
    header = ("name", "prompt", "adj1", "adj2", "style", "mos_quality", "std_quality",
              "mos_align", "std_align")  # fmt: skip
    rows = [
        (name, "artwork with only triangles, anime style", "", "", "anime style", 2 - 0.3 * i, 0.2,
         0.4 + 0.3 * i, 0.6)
        for i, name in enumerate(names)
    ]  # fmt: skip
    write_rows(root / "data.csv", header, rows)


def make_csv(root: Path) -> None:
    names = [f"{number}.png" for number in range(6)]
    write_pictures(root / "mine", names)
    rows = [(f"mine/{name}", 10 - i, f"scene{i // 2}") for i, name in enumerate(names)]
    write_rows(root / "scores.csv", ("path", "score", "content"), rows)


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def write_sheet(path: Path, rows: Iterable[Sequence[object]]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
    book.save(path)


MINIATURES = {
    "clive": make_clive,
    "live": make_live,
    "csiq": make_csiq,
    "tid2013": make_tid2013,
    "kadid10k": make_kadid10k,
    "koniq10k": make_koniq10k,
    "spaq": make_spaq,
    "flive": make_flive,
    "pipal": make_pipal,
    "agiqa1k": make_agiqa1k,
    "agiqa3k": make_agiqa3k,
    "csv": make_csv,
}
