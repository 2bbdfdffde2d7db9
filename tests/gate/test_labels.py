"""CSVs of paths and labels or opinions."""

import pytest

from maclip_runtime.errors import UsageError
from maclip_runtime.gate.labels import read_labels


def write(folder, text):
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_labels_say_accept_or_reject_and_paths_are_relative_to_the_csv(tmp_path):
    rows = read_labels(write(tmp_path, "path,label\na.jpg,accept\nsub/b.jpg, Reject\n"))
    assert [(row.path, row.accept, row.opinion) for row in rows] == [
        (str(tmp_path / "a.jpg"), True, None),
        (str(tmp_path / "sub/b.jpg"), False, None),
    ]


def test_opinions_are_cut_and_a_byte_order_mark_and_other_columns_do_no_harm(tmp_path):
    path = write(tmp_path, "\ufeffid,path,opinion\n1,a.jpg,3.5\n2,b.jpg,3.49\n")
    rows = read_labels(path, opinion_cut=3.5)
    assert [(row.accept, row.opinion) for row in rows] == [(True, 3.5), (False, 3.49)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "first line"),
        ("file,label\na,accept\n", "first line"),
        ("path\na.jpg\n", "first line"),
        ("path,label\na.jpg,maybe\n", "row 2: label 'maybe'"),
        ("path,label\na.jpg,accept\n,reject\n", "row 3: no path"),
        ("path,label\na.jpg\n", "row 2: label ''"),
        ("path,opinion\na.jpg,good\n", "row 2: opinion 'good'"),
        ("path,opinion\na.jpg,nan\n", "row 2: opinion 'nan'"),
    ],
)
def test_what_is_not_understood_is_named_by_its_row(tmp_path, text, fault):
    with pytest.raises(UsageError, match=fault):
        read_labels(write(tmp_path, text), opinion_cut=1.0)


def test_opinions_need_a_cut(tmp_path):
    with pytest.raises(UsageError, match="the lowest to accept: opinion_cut=..."):
        read_labels(write(tmp_path, "path,opinion\na.jpg,1\n"))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_labels(tmp_path / "none.csv")
