"""`maclip score`, `inspect` and `doctor`, run as a user runs them."""

import csv
import io
import json
import shutil

import pytest

from maclip_runtime import Scorer

FIELDS = {
    "path", "score", "similarity", "magnitude", "weight", "views", "width", "height", "enlarged",
    "preset", "engine", "precision", "view_mode", "bundle", "attributes",
}  # fmt: skip


@pytest.fixture
def folder(pictures, tmp_path):
    """Two pictures, one of them in a directory deeper, and a file that is none."""
    (tmp_path / "deeper").mkdir()
    shutil.copy(pictures / "224x224.png", tmp_path / "a.png")
    shutil.copy(pictures / "225x225.png", tmp_path / "deeper" / "b.png")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_json_has_an_object_per_picture(maclip, rn_small_bundle, folder):
    done = maclip("score", folder / "a.png", "--bundle", rn_small_bundle, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = json.loads(done.stdout)
    assert record.keys() == FIELDS
    expected = Scorer(rn_small_bundle).score(folder / "a.png")
    assert record["score"] == pytest.approx(expected.score, abs=1e-7)
    assert record["bundle"] == "rn-small.maclip"


def test_jsonl_and_csv_have_a_line_per_picture(maclip, rn_small_bundle, folder):
    arguments = ("score", folder, "--recursive", "--bundle", rn_small_bundle, "--format")
    lines = maclip(*arguments, "jsonl").stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["path"] for record in records] == [
        str(folder / "a.png"),
        str(folder / "deeper" / "b.png"),
    ]
    rows = list(csv.DictReader(io.StringIO(maclip(*arguments, "csv").stdout)))
    assert [float(row["score"]) for row in rows] == [record["score"] for record in records]


def test_the_table_shows_every_picture_and_what_scored_it(maclip, rn_small_bundle, folder):
    done = maclip("score", folder, "-r", "--bundle", rn_small_bundle)
    assert done.returncode == 0
    for part in (
        str(folder / "deeper" / "b.png"),
        "224 x 224",
        "onnxruntime-cpu",
        "rn-small.maclip",
    ):
        assert part in done.stdout


def test_a_directory_is_scored_without_its_directories_unless_told(maclip, rn_small_bundle, folder):
    done = maclip("score", folder, "--bundle", rn_small_bundle, "--format", "jsonl")
    assert len(done.stdout.splitlines()) == 1


def test_quoted_globs_are_expanded(maclip, rn_small_bundle, folder):
    done = maclip("score", folder / "*.p?g", "--bundle", rn_small_bundle, "--format", "jsonl")
    assert json.loads(done.stdout)["path"] == str(folder / "a.png")


def test_a_score_below_the_least_gives_status_3(maclip, rn_small_bundle, folder):
    arguments = ("score", folder, "-r", "--bundle", rn_small_bundle, "--format", "json")
    done = maclip(*arguments, "--min-score", "-1")
    assert (done.returncode, done.stderr) == (0, "")
    scores = sorted(record["score"] for record in json.loads(done.stdout))
    done = maclip(*arguments, "--min-score", sum(scores) / 2)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert f"score {scores[0]:.4f} is below" in line
    (folder / "broken.png").write_bytes(b"no picture")
    assert maclip(*arguments, "--min-score", "9").returncode == 1  # some failed weighs more


def test_a_map_needs_nothing_but_the_runtime(maclip, rn_small_bundle, folder):
    output = folder / "map.png"
    done = maclip("map", folder / "a.png", "--bundle", rn_small_bundle, "--output", output)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes().startswith(b"\x89PNG")


def test_the_bundle_may_come_from_the_environment(maclip, rn_small_bundle, folder):
    done = maclip("score", folder, "--format", "json", MACLIP_BUNDLE=str(rn_small_bundle))
    assert json.loads(done.stdout)[0]["bundle"] == "rn-small.maclip"


def test_results_can_go_to_a_file(maclip, rn_small_bundle, folder, tmp_path):
    output = tmp_path / "scores.json"
    done = maclip(
        "score", folder, "--bundle", rn_small_bundle, "--format", "json", "--output", output
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert len(json.loads(output.read_text())) == 1
    assert not list(tmp_path.glob(".scores*"))


def test_presets_and_orientation_reach_the_scorer(maclip, rn_small_bundle, folder):
    done = maclip(
        "score", folder, "--bundle", rn_small_bundle, "--format", "json", "--preset", "448"
    )
    (record,) = json.loads(done.stdout)
    assert (record["preset"], record["views"]) == ("448", 5)


def test_inspect_shows_the_bundle_and_verifies_it(maclip, rn_small_bundle):
    done = maclip("inspect", rn_small_bundle)
    assert done.returncode == 0
    for part in ("ModifiedResNet 1-1-1-1", "image_encoder.fp32.onnx", "Sharp image", "ok"):
        assert part in done.stdout
    report = json.loads(maclip("inspect", rn_small_bundle, "--format", "json").stdout)
    assert report["faults"] == {}
    assert report["method"]["head"]["magnitude"]["boxcox_lambda"] == 0.5


def test_inspect_lists_every_fault(maclip, rn_small_bundle, tmp_path):
    bundle = shutil.copytree(rn_small_bundle, tmp_path / "b")
    (bundle / "prompts.npz").unlink()
    with (bundle / "text_encoder.fp32.onnx").open("ab") as stream:
        stream.write(b"x")
    done = maclip("inspect", bundle)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert done.stdout.count("WRONG") == 2


def test_doctor_names_what_is_there_and_what_is_missing(maclip):
    done = maclip("doctor")
    assert done.returncode == 0
    for part in ("maclip-edge", "numpy", "onnxruntime", "NVIDIA driver"):
        assert part in done.stdout
    findings = json.loads(maclip("doctor", "--json").stdout)
    assert all(finding.keys() == {"name", "present", "detail"} for finding in findings)


def test_version_and_help(maclip):
    assert maclip("--version").stdout.startswith("maclip-edge ")
    text = maclip("--help").stdout
    for command in ("score", "inspect", "doctor", "export", "prompts"):
        assert command in text
