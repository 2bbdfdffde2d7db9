"""Archives in a bucket, of a real S3 server on this machine."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest
from archives import Here, fill_archive, plan_archive, read_archive
from buckets import serve_s3

from maclip_runtime.archive.inventory import take_inventory
from maclip_runtime.errors import UsageError

pa = pytest.importorskip("pyarrow", reason="needs maclip-edge[ray]")
pq = pytest.importorskip("pyarrow.parquet", reason="needs maclip-edge[ray]")


@pytest.fixture(scope="module")
def bucket(encoded: list[bytes]) -> Iterator[str]:
    """A bucket with pictures in folders, a tar and a Parquet file."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as writer:
        member = tarfile.TarInfo("0.jpg")
        member.size = len(encoded[0])
        writer.addfile(member, io.BytesIO(encoded[0]))
    parquet = io.BytesIO()
    pq.write_table(pa.table({"image": encoded[:2]}), parquet)
    with serve_s3() as put:
        for index, data in enumerate(encoded):
            put(f"pictures/in/{index % 2} %3F#/{index}.jpg", data)
        put("pictures/in/broken.jpg", b"broken")
        put("pictures/in/a.tar", tar.getvalue())
        put("pictures/in/b.parquet", parquet.getvalue())
        put("pictures/elsewhere/x.jpg", b"")
        yield "s3://pictures/in"


def test_a_bucket_scores_as_files_do(bucket, encoded, records, scorer, tmp_path):
    here = Here(scorer)
    fill_archive(plan_archive(bucket, tmp_path / "out", here), here)
    rows = {row["path"]: row for row in read_archive(tmp_path / "out")}
    expected = {f"{bucket}/{n % 2} %3F#/{n}.jpg": records[n]["score"] for n in range(len(encoded))}
    expected[f"{bucket}/a.tar/0.jpg"] = records[0]["score"]
    expected |= {f"{bucket}/b.parquet#{n}": records[n]["score"] for n in range(2)}
    assert {path: row["score"] for path, row in rows.items() if row["error"] is None} == expected
    assert "not a picture" in rows[f"{bucket}/broken.jpg"]["error"]
    assert len(rows) == len(expected) + 1


def test_what_is_gone_from_a_bucket_is_a_row_with_an_error(bucket, scorer, tmp_path):
    (tmp_path / "list.txt").write_text(f"{bucket}/gone.jpg\n{bucket}/gone.tar\n")
    here = Here(scorer)
    fill_archive(plan_archive(tmp_path / "list.txt", tmp_path / "out", here), here)
    rows = read_archive(tmp_path / "out")
    assert {row["path"]: row["error"] for row in rows} == dict.fromkeys(
        (f"{bucket}/gone.jpg", f"{bucket}/gone.tar"), "no such file"
    )


def test_a_bucket_that_is_missing_is_refused(bucket):
    with pytest.raises(UsageError, match="s3://none/x: no such folder or file"):
        list(take_inventory("s3://none/x"))
