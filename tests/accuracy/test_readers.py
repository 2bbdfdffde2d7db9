"""Every dataset's miniature through its real reader: pictures, scores, direction, quirks, errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from miniatures import MINIATURES

from benchmarks.accuracy.readers import READERS, Dataset, DatasetError, ReadOptions, read_dataset
from maclip_runtime.errors import UsageError

Miniature = Callable[[str], Path]


def read(name: str, root: Path, **options: object) -> Dataset:
    return read_dataset(name, root, ReadOptions(**options))  # type: ignore[arg-type]


def opinions(dataset: Dataset) -> list[float]:
    return [picture.opinion for picture in dataset.pictures]


def test_every_dataset_has_a_miniature() -> None:
    assert MINIATURES.keys() == READERS.keys()


@pytest.mark.parametrize(
    ("name", "count", "higher_is_better", "contents"),
    [
        ("clive", 6, True, 6),
        ("live", 10, False, 2),
        ("csiq", 12, False, 2),
        ("tid2013", 5, True, 3),
        ("kadid10k", 6, True, 2),
        ("koniq10k", 5, True, 5),
        ("spaq", 5, True, 5),
        ("flive", 5, True, 5),
        ("pipal", 8, True, 2),
        ("agiqa1k", 5, True, 4),
        ("agiqa3k", 5, True, 5),
        ("csv", 6, True, 3),
    ],
)
def test_reader_finds_every_picture(
    name: str, count: int, higher_is_better: bool, contents: int, miniature: Miniature
) -> None:
    dataset = read(name, miniature(name))
    assert len(dataset.pictures) == count
    assert all(picture.path.is_file() for picture in dataset.pictures)
    assert dataset.scale.higher_is_better is higher_is_better
    assert ("lower is better" in dataset.scale.describe()) is not higher_is_better
    assert len({picture.content for picture in dataset.pictures}) == contents
    assert dataset.name == name


def test_presets_are_the_published_ones() -> None:
    native = {name for name, reader in READERS.items() if reader.preset == "native"}
    assert (READERS["spaq"].preset, READERS["agiqa1k"].preset) == ("448", "224")
    assert native == READERS.keys() - {"spaq", "agiqa1k"}


def test_clive_leaves_the_observers_training_pictures_out(miniature: Miniature) -> None:
    dataset = read("clive", miniature("clive"))
    assert dataset.pictures[0].path.name == "3.bmp"
    assert dataset.pictures[0].opinion == 80  # not the 99 of the training pictures
    assert "7 training pictures" in dataset.notes[0]


def test_live_takes_realigned_scores_of_distorted_pictures_only(miniature: Miniature) -> None:
    root = miniature("live")
    dataset = read("live", root)
    places = [picture.path.relative_to(root).as_posix() for picture in dataset.pictures[:3]]
    assert places == ["jp2k/img1.bmp", "jp2k/img2.bmp", "jpeg/img1.bmp"]
    assert dataset.pictures[0].opinion == 21
    (root / "dmos_realigned.mat").unlink()
    older = read("live", root)
    assert older.pictures[0].opinion == 20
    assert "dmos.mat" in older.notes[0]


def test_csiq_matches_the_sheet_to_file_names(miniature: Miniature) -> None:
    names = [picture.path.name for picture in read("csiq", miniature("csiq")).pictures]
    assert names[:3] == ["1600.AWGN.2.png", "1600.JPEG.2.png", "1600.jpeg2000.2.png"]
    assert names[-1] == "aerial_city.contrast.2.png"


def test_tid2013_matches_names_whatever_their_case(miniature: Miniature) -> None:
    dataset = read("tid2013", miniature("tid2013"))
    assert opinions(dataset) == [5.5, 5, 4, 3, 0.9]
    names = [picture.path.name for picture in dataset.pictures]
    assert names[0] == "i01_01_1.bmp"  # listed as I01_01_1.bmp
    assert names[3] == "I22_11_2.bmp"  # listed as i22_11_2.bmp


def test_kadid_dmos_grows_with_quality(miniature: Miniature) -> None:
    dataset = read("kadid10k", miniature("kadid10k"))
    assert dataset.pictures[0].opinion == 4.5
    assert dataset.scale.higher_is_better


def test_koniq_official_split(miniature: Miniature) -> None:
    root = miniature("koniq10k")
    assert opinions(read("koniq10k", root)) == [77, 67, 57, 47, 37]  # MOS_zscore, not MOS
    test = read("koniq10k", root, split="test")
    assert opinions(test) == [67, 47, 37]
    assert "official test set" in test.notes[0]
    with pytest.raises(UsageError, match="training, validation, test"):
        read("koniq10k", root, split="tests")
    (root / "koniq10k_scores_and_distributions.csv").unlink()
    assert opinions(read("koniq10k", root)) == [77, 67, 57, 47, 37]


def test_agiqa1k_says_that_a_picture_is_listed_twice(miniature: Miniature) -> None:
    assert "1 pictures are listed twice" in read("agiqa1k", miniature("agiqa1k")).notes[0]


def test_agiqa3k_reads_quality_not_alignment(miniature: Miniature) -> None:
    assert opinions(read("agiqa3k", miniature("agiqa3k")))[:2] == [2, 1.7]


def test_own_csv_with_labels_elsewhere_and_low_scores_good(miniature: Miniature) -> None:
    root = miniature("csv")
    labels = root.parent / "other.csv"
    (root / "scores.csv").rename(labels)
    dataset = read("csv", root, labels=labels, lower_is_better=True)
    assert len(dataset.pictures) == 6
    assert not dataset.scale.higher_is_better
    with pytest.raises(UsageError, match="brings its own scores"):
        read("spaq", root, labels=labels)


def test_a_missing_picture_stays_in_the_list(miniature: Miniature) -> None:
    root = miniature("tid2013")
    (root / "distorted_images" / "i25_24_5.bmp").unlink()
    dataset = read("tid2013", root)
    assert [picture.path.is_file() for picture in dataset.pictures] == [True] * 4 + [False]


@pytest.mark.parametrize("name", list(READERS))
def test_an_empty_folder_is_one_clear_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        read(name, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        read("kadid10k", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("kadid10k", "dmos.csv", "dist_img,ref_img\na.png,b.png\n"),
        ("kadid10k", "dmos.csv", "dist_img,ref_img,dmos,var\na.png,b.png,high,1\n"),
        ("tid2013", "mos_with_names.txt", "5.5\n"),
        ("tid2013", "mos_with_names.txt", "nan i01_01_1.bmp\n"),
        ("csiq", "csiq.DMOS.xlsx", "not a workbook"),
        ("spaq", "Annotations/MOS and Image attribute scores.xlsx", ""),
        ("clive", "Data/AllMOS_release.mat", "not MATLAB"),
        ("live", "dmos_realigned.mat", ""),
        ("pipal", "Train_Label/A0001.txt", "A0001_00_00.bmp 1500\n"),
    ],
)
def test_a_damaged_annotation_file_is_named(
    name: str, file: str, content: str, miniature: Miniature
) -> None:
    root = miniature(name)
    (root / file).write_text(content)
    with pytest.raises(DatasetError) as caught:
        read(name, root)
    assert "\n" not in str(caught.value)
    assert Path(file).name in str(caught.value)


def test_annotations_without_pictures(miniature: Miniature) -> None:
    root = miniature("kadid10k")
    (root / "dmos.csv").write_text("dist_img,ref_img,dmos,var\n")
    with pytest.raises(DatasetError, match="list no pictures"):
        read("kadid10k", root)


def test_a_workbook_without_the_sheet(miniature: Miniature) -> None:
    root = miniature("csiq")
    book = openpyxl.Workbook()
    book.save(root / "csiq.DMOS.xlsx")
    with pytest.raises(DatasetError, match="all_by_image"):
        read("csiq", root)


def test_scores_and_names_of_different_number(miniature: Miniature) -> None:
    root = miniature("live")
    other = root.parent / "more"
    other.mkdir()
    MINIATURES["live"](other)
    (other / "wn" / "img3.bmp").unlink()
    with pytest.raises(DatasetError, match="14 pictures for 15 scores"):
        read("live", other)
