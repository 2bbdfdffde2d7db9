"""`maclip gate`, and the gates that `maclip score` reads, run as a user runs them."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image, ImageFilter

from reference.make_images import picture


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """Seven pictures, and the same ones blurred."""
    folder = tmp_path_factory.mktemp("groups")
    rng = np.random.RandomState(4)
    for name in ("good", "bad"):
        (folder / name).mkdir()
    for place in range(7):
        image = Image.fromarray(picture(rng, 240, 230))
        image.save(folder / "good" / f"{place}.png")
        image.filter(ImageFilter.GaussianBlur(6)).save(folder / "bad" / f"{place}.png")
    return folder


def make(maclip, groups, *more):
    return maclip(
        "gate", "--accept", groups / "good", "--reject", groups / "bad", "--bundle", "demo", *more
    )


def test_a_gate_is_made_shown_drawn_and_written(maclip, groups, tmp_path):
    output, plot = tmp_path / "gate.json", tmp_path / "gate.png"
    done = make(maclip, groups, "--output", output, "--plot", plot)
    assert done.returncode == 0, done.stderr
    for name in ("score", "similarity", "magnitude", "sharpness", "noise", "AUC"):
        assert name in done.stdout
    assert "careful: 7 pictures to accept do not tell a rate of 0.01" in done.stderr
    gate = json.loads(output.read_text())
    assert (gate["accepted"], gate["rejected"], gate["quantity"]) == (7, 7, "score")
    with Image.open(plot) as drawn:
        assert drawn.size == (1200, 560)


def test_what_does_not_pass_a_gate_gives_status_3(maclip, groups, tmp_path):
    gate = tmp_path / "gate.json"
    make(maclip, groups, "--output", gate)
    good = maclip("score", groups / "good", "--bundle", "demo", "--gate", gate)
    assert (good.returncode, good.stderr) == (0, "")
    threshold = json.loads(gate.read_text())["threshold"]
    bad = maclip("score", groups / "bad", "--bundle", "demo", "--gate", gate, "--format", "json")
    below = [record for record in json.loads(bad.stdout) if record["score"] < threshold]
    assert bad.returncode == (3 if below else 0)
    assert len(bad.stderr.splitlines()) == len(below)
    assert below, "blur does not lower the demo encoder's scores"


def test_a_gate_made_with_other_settings_is_refused(maclip, groups, tmp_path):
    gate = tmp_path / "gate.json"
    make(maclip, groups, "--output", gate)
    done = maclip("score", groups / "good", "--bundle", "demo", "--gate", gate, "--preset", "224")
    assert done.returncode == 2
    assert "the gate was made with preset native" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_csv_of_opinions_gives_correlations_too(maclip, groups, tmp_path):
    path = tmp_path / "labels.csv"
    shutil.copytree(groups, tmp_path / "pictures")
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "opinion"])
        for place in range(7):
            writer.writerow([f"pictures/good/{place}.png", 4 + place / 10])
            writer.writerow([f"pictures/bad/{place}.png", 2 + place / 10])
    done = maclip(
        "gate", "--labels", path, "--opinion-cut", 3, "--bundle", "demo", "--format", "json"
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]["score"]
    assert -1 <= figures["srcc"] <= 1
    assert figures["plcc"] is not None


def test_a_picture_that_fails_is_left_out_and_gives_status_1(maclip, groups, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    done = make(maclip, groups, "--accept", broken, "--format", "json")
    assert done.returncode == 1
    assert str(broken) in done.stderr
    assert json.loads(done.stdout)["accepted"] == 7


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((), "--accept and --reject, or --labels"),
        (("--accept", "samples"), "--accept and --reject, or --labels"),
        (("--labels", "none.csv"), "none.csv: cannot be read"),
    ],
)
def test_wrong_usage_is_one_line(maclip, arguments, fault):
    done = maclip("gate", *arguments)
    assert done.returncode == 2
    assert fault in done.stderr


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (("--on", "haze"), "unknown quantity 'haze'"),
        (("--plot", "plot.gif"), "unknown suffix '.gif'"),
        (("--output", "nowhere/gate.json"), "nowhere"),
        (("--false-reject", "0.7"), "a false-reject rate of 0.7"),
    ],
)
def test_what_cannot_be_made_is_said(maclip, groups, more, fault):
    done = make(maclip, groups, *more)
    assert done.returncode == 2
    assert fault in done.stderr
