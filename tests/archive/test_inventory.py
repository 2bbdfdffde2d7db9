"""What an input holds, and cutting it into shards."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import replace

import pytest
from archives import Here, fill_archive, plan_archive, read_archive

from maclip_runtime.archive.inventory import take_inventory
from maclip_runtime.archive.plan import make_plan, read_plan
from maclip_runtime.archive.units import UNIT_PICTURES, Reference, group, read_unit
from maclip_runtime.errors import PictureError, UsageError

pa = pytest.importorskip("pyarrow", reason="needs maclip-edge[ray]")
pq = pytest.importorskip("pyarrow.parquet", reason="needs maclip-edge[ray]")


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def list_files(location, **options):
    return [each.file for each in take_inventory(str(location), **options)]


def read_names(reference, skip=0):
    unit = group([reference])[0]
    return [name for name, _ in read_unit(replace(unit, skip=skip))]


def test_a_folder_is_walked_to_its_depths_in_order_without_hidden_names(tmp_path):
    for name in ("b.jpg", "a/2.png", "a/1.PNG", "a/.hidden.jpg", ".git/x.jpg", "c.txt", "d.tar"):
        tmp_path.joinpath(name).parent.mkdir(exist_ok=True)
        tmp_path.joinpath(name).touch()
    expected = [str(tmp_path / name) for name in ("a/1.PNG", "a/2.png", "b.jpg", "d.tar")]
    assert list_files(tmp_path) == expected


def test_links_to_folders_are_not_followed_and_broken_links_are_pictures_with_errors(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing")
    assert list_files(tmp_path) == [str(tmp_path / "gone.jpg")]


def test_a_name_that_is_not_utf8_is_an_error_of_that_picture(tmp_path):
    (tmp_path / "good.jpg").touch()
    (tmp_path / os.fsdecode(b"bad\xff.jpg")).touch()
    bad, good = take_inventory(str(tmp_path))
    assert (good.error, bad.file) == (None, str(tmp_path / r"bad\xff.jpg"))
    assert "not UTF-8" in bad.error


def test_a_list_names_pictures_and_archives_a_line_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("a.jpg\r\n\n/b/c.png\ns3://bucket/d e.jpg\nftp://x/y.jpg")
    *good, bad = take_inventory("list.txt")
    assert [each.file for each in good] == [
        str(tmp_path / "a.jpg"), "/b/c.png", "s3://bucket/d e.jpg"
    ]  # fmt: skip
    assert bad.error.startswith("ftp://: not a storage")


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("none", "no such folder or file"),
        ("one.jpg", "for single pictures use maclip score"),
        ("http://host/x", "use s3:// or gs://"),
        ("s3://key:secret@bucket/x", "does not belong into a URL"),
    ],
)
def test_an_input_that_cannot_be_is_refused(location, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.jpg").touch()
    with pytest.raises(UsageError, match=told) as caught:
        list_files(location)
    assert "secret" not in str(caught.value)


def test_a_tars_pictures_are_read_in_order_and_from_anywhere_on(tmp_path):
    tar = write_tar(tmp_path / "a.tar", {"0.jpg": b"0", "0.json": b"{}", "s/1.png": b"1"})
    (reference,) = take_inventory(str(tar))
    names = [f"{tar}/0.jpg", f"{tar}/s/1.png"]
    assert (read_names(reference), read_names(reference, skip=1)) == (names, names[1:])


def test_a_tar_that_is_cut_off_gives_the_pictures_before_that_and_an_error(tmp_path):
    tar = write_tar(tmp_path / "a.tar", {"0.jpg": b"0" * 600, "1.jpg": b"1" * 600})
    tar.write_bytes(tar.read_bytes()[:2300])
    first, last = read_unit(group([Reference("tar", str(tar))])[0])
    assert first == (f"{tar}/0.jpg", b"0" * 600)
    assert last[0] == str(tar)
    assert isinstance(last[1], PictureError)


@pytest.mark.parametrize("as_struct", [False, True], ids=["binary", "hugging-face"])
def test_parquets_bytes_are_read_by_row_group(as_struct, tmp_path):
    data = [b"0", None, b"2", b"3", b"4"]
    column = [{"bytes": each, "path": "x"} for each in data] if as_struct else data
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"label": range(5), "image": column}), path, row_group_size=3)
    first, second = take_inventory(str(path))
    assert (first.pictures, second.pictures, second.first_row) == (3, 2, 3)
    pictures = list(read_unit(group([first])[0]))
    assert [name for name, _ in pictures] == [f"{path}#{row}" for row in range(3)]
    assert (pictures[0][1], pictures[2][1]) == (b"0", b"2")
    assert "has no bytes" in str(pictures[1][1])
    assert read_names(second, skip=1) == [f"{path}#4"]


def test_parquets_paths_are_pictures(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"path": ["/a.jpg", None], "other": ["/c.jpg", "/d.jpg"]}), path)
    found, missing = take_inventory(str(path))
    assert (found.file, missing.error) == ("/a.jpg", "has no path")
    assert list_files(path, column="other") == ["/c.jpg", "/d.jpg"]


def test_a_column_that_is_not_clear_is_asked_for(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [b"0"], "y": [b"1"]}), path)
    with pytest.raises(UsageError, match=r"it has x, y; name it with column="):
        list_files(path)
    with pytest.raises(UsageError, match="has no column z"):
        list_files(path, column="z")


def test_parquet_that_is_none_is_an_error_row(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"no")
    (only,) = take_inventory(str(tmp_path))
    assert only.error.startswith("cannot be read")


def test_shards_hold_about_so_many_pictures_and_a_plan_reads_back(tmp_path):
    references = [Reference("picture", f"/{n}.jpg") for n in range(100)]
    references += [Reference("rows", "/a.parquet", 90, None, "image", 0, 0)]
    plan = make_plan(tmp_path, "/in", references, 40)
    assert (plan.shards, plan.pictures) == (4, 190)
    read = [each for shard in range(4) for u in plan.read_units(shard) for each in u.references]
    assert read == references
    assert read_plan(tmp_path) is None  # nothing may go on with it before its settings are known


@pytest.mark.parametrize(("number", "sizes"), [(3, {1}), (640, {10}), (100_000, {UNIT_PICTURES})])
def test_units_are_small_where_there_are_few_pictures(number, sizes):
    """So that every worker has some; a unit ends where the pictures do."""
    units = group([Reference("picture", "x.jpg")] * number)
    assert {len(unit.references) for unit in units} == sizes
    assert sum(unit.pictures for unit in units) == number
    mixed = group([Reference("picture", "x.jpg")] * 2 + [Reference("tar", "y.tar", 10)])
    assert [unit.pictures for unit in mixed] == [1, 1, None]


def test_tars_are_planned_by_the_first_of_them(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "abc":
        write_tar(tmp_path / "in" / f"{name}.tar", {f"{n}.jpg": b"" for n in range(5)})
    plan = make_plan(tmp_path / "out", "in", take_inventory(str(tmp_path / "in")), 10)
    assert (plan.shards, plan.pictures) == (2, 15)


def test_an_input_without_pictures_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(UsageError, match="holds no pictures"):
        make_plan(tmp_path / "out", "in", take_inventory(str(tmp_path / "in")), 10)


def test_an_archive_does_not_lie_among_its_pictures(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UsageError, match="choose one outside of it"):
        make_plan(tmp_path / "out", str(tmp_path), take_inventory(str(tmp_path)), 10)
    assert not (tmp_path / "out").exists()


def test_tars_and_parquets_have_the_scores_of_files(tmp_path, encoded, records, scorer):
    source = tmp_path / "in"
    source.mkdir()
    tar = write_tar(source / "a.tar", {f"{n}.jpg": data for n, data in enumerate(encoded)})
    pq.write_table(pa.table({"image": encoded}), source / "b.parquet", row_group_size=4)
    here = Here(scorer)
    fill_archive(plan_archive(source, tmp_path / "out", here, shard=4), here)
    rows = {row["path"]: row["score"] for row in read_archive(tmp_path / "out")}
    assert len(rows) == 2 * len(encoded)
    for index, record in enumerate(records):
        assert rows[f"{tar}/{index}.jpg"] == record["score"]
        assert rows[f"{source / 'b.parquet'}#{index}"] == record["score"]
