"""`maclip report` and `maclip map`, run as a user runs them."""

import shutil

import pytest
from PIL import Image


@pytest.fixture
def folder(pictures, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(pictures / "224x224.png", tmp_path / "in" / "<b>a.png")
    shutil.copy(pictures / "225x225.png", tmp_path / "in" / "b.png")
    return tmp_path


def test_a_report_shows_pictures_and_failures_and_has_scores_exit_status(maclip, folder):
    (folder / "in" / "broken.png").write_bytes(b"no picture")
    output = folder / "report.html"
    done = maclip("report", folder / "in", "--bundle", "demo", "--output", output)
    assert done.returncode == 1
    text = output.read_text(encoding="utf-8")
    for part in ("&lt;b&gt;a.png", "b.png", "broken.png", "onnxruntime-cpu, fp32", "maclip-demo"):
        assert part in text
    assert "<b>a.png" not in text
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_a_report_with_a_least_score_marks_what_is_below_it(maclip, folder):
    output = folder / "report.html"
    arguments = ("report", folder / "in", "--bundle", "demo", "--output", output, "--min-score")
    assert maclip(*arguments, "-1").returncode == 0
    done = maclip(*arguments, "99")
    assert done.returncode == 3
    assert output.read_text(encoding="utf-8").count('class="below"') == 2


def test_a_map_stands_beside_its_picture(maclip, folder):
    output = folder / "map.png"
    done = maclip(
        "map", folder / "in" / "b.png", "--bundle", "demo", "--output", output,
        "--show", "sharpness", "--side", "256",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with Image.open(output) as image:
        assert image.width >= 512


def test_a_picture_that_cannot_be_mapped_gives_status_1(maclip, tmp_path):
    output = tmp_path / "m.png"
    done = maclip("map", tmp_path / "none.png", "--bundle", "demo", "--output", output)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "none.png: no such file" in done.stderr
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("map", "none.png", "--output", "m.gif"), "unknown suffix '.gif'"),
        (("map", "none.png", "--output", "nowhere/m.png"), "no such directory"),
        (("map", "none.png", "--output", "m.png", "--show", "haze"), "unknown quantity 'haze'"),
        (("report", "none.png", "--output", "nowhere/r.html"), "no such directory"),
        (("report", "none.png", "--output", "r.html", "--show", "haze"), "unknown quantity"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(maclip, arguments, fault):
    done = maclip(*arguments, "--bundle", "demo")
    assert done.returncode == 2
    assert fault in done.stderr
    assert len(done.stderr.splitlines()) == 1
