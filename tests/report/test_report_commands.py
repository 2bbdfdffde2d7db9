"""`maclip report` and `maclip map`, run as a user runs them."""

import shutil
from pathlib import Path

import pytest
import typer
from PIL import Image

from maclip_runtime import Scorer
from maclip_runtime.cli.report import report


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


def test_an_interrupted_report_has_what_was_scored(folder, monkeypatch):
    def score_one_and_stop(self, pictures):
        yield self.score(pictures[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(Scorer, "score_many", score_one_and_stop)
    output = folder / "report.html"
    with pytest.raises(typer.Exit) as stopped:
        report([str(folder / "in")], output=output, bundle="demo")
    assert stopped.value.exit_code == 130
    text = output.read_text(encoding="utf-8")
    assert "Interrupted: 1 of 2 pictures are here." in text
    assert "&lt;b&gt;a.png" in text


def test_a_picture_that_is_gone_after_it_was_scored_is_a_failure_and_no_more(folder, monkeypatch):
    def delete_first(self, pictures):
        results = [self.score(path) for path in pictures]
        Path(pictures[0]).unlink()
        yield from results

    monkeypatch.setattr(Scorer, "score_many", delete_first)
    output = folder / "report.html"
    with pytest.raises(typer.Exit) as stopped:
        report([str(folder / "in")], output=output, bundle="demo")
    assert stopped.value.exit_code == 1
    text = output.read_text(encoding="utf-8")
    assert "no such file" in text
    assert text.count("<li data-f") == 1


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
        (("map", "none.png", "--output", "nowhere/m.png"), "No such file or directory"),
        (("map", "none.png", "--output", "m.png", "--show", "haze"), "unknown quantity 'haze'"),
        (("report", "none.png", "--output", "nowhere/r.html"), "No such file or directory"),
        (("report", "none.png", "--output", "r.html", "--show", "haze"), "unknown quantity"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(maclip, arguments, fault):
    done = maclip(*arguments, "--bundle", "demo")
    assert done.returncode == 2
    assert fault in done.stderr
    assert len(done.stderr.splitlines()) == 1
