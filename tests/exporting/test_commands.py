"""`maclip export` and `maclip prompts`, run as a user runs them."""

import json

import pytest
import torch


def test_export_then_inspect_then_score(maclip, checkpoint_file, pictures, tmp_path):
    bundle = tmp_path / "made" / "rn.maclip"
    done = maclip("export", "--checkpoint", checkpoint_file("rn-small"), "--output", bundle)
    assert done.returncode == 0, done.stderr
    assert "image_encoder.fp32.onnx" in done.stdout
    assert "writing and verifying image_encoder.fp32.onnx ..." in done.stderr
    assert {p.name for p in bundle.iterdir()} == {
        "manifest.json",
        "prompts.npz",
        "image_encoder.fp32.onnx",
        "text_encoder.fp32.onnx",
    }
    assert maclip("inspect", bundle).returncode == 0
    done = maclip("score", pictures, "--bundle", bundle, "--format", "json")
    assert len(json.loads(done.stdout)) == 7


def test_prompts_are_replaced(maclip, plain_bundle, tmp_path):
    bundle = plain_bundle("rn-small").path
    (tmp_path / "p.yaml").write_text("light: {good: bright photo, bad: dark photo}\n")
    done = maclip("prompts", bundle, "--prompts", tmp_path / "p.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 prompt pairs: light" in done.stdout
    assert "bright photo / dark photo" in maclip("inspect", bundle).stdout


def write_code(path):
    torch.save({"state_dict": print}, path)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: path.write_text("no checkpoint"), "damaged"),
        (write_code, "never loaded"),
        (lambda path: torch.save({"a": torch.zeros(1)}, path), "OpenAI's layout"),
    ],
)
def test_a_bad_checkpoint_is_one_line_and_leaves_nothing(maclip, tmp_path, write, reason):
    write(tmp_path / "clip.pt")
    done = maclip("export", "--checkpoint", tmp_path / "clip.pt", "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert reason in done.stderr.splitlines()[-1]
    assert [p.name for p in tmp_path.iterdir()] == ["clip.pt"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--model", "RN50"],
        ["--model", "RN50", "--pretrained", "openai", "--checkpoint", "clip.pt"],
    ],
)
def test_the_source_must_be_given_once(maclip, tmp_path, arguments):
    done = maclip("export", *arguments, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "--checkpoint FILE" in done.stderr


def test_an_existing_bundle_is_refused_before_long_work(maclip, checkpoint_file, tmp_path):
    (tmp_path / "out").mkdir()
    output = tmp_path / "out"
    done = maclip("export", "--checkpoint", checkpoint_file("rn-small"), "--output", output)
    assert done.returncode == 2
    expected = f"maclip: {output}: exists already; use --force to replace it"
    assert done.stderr.splitlines() == [expected]


def test_the_command_asks_for_calibration_pictures(maclip, checkpoint_file, tmp_path):
    arguments = ("export", "--checkpoint", checkpoint_file("rn-small"), "--output", tmp_path / "b")
    done = maclip(*arguments, "--precision", "fp32,int8")
    assert done.returncode == 2
    assert "needs --calibration DIR" in done.stderr
    done = maclip(*arguments, "--precision", "int8", "--calibration", tmp_path / "nothing")
    assert done.returncode == 2
    assert "no such directory" in done.stderr


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (("--precision", "fp8"), "--precision fp8: use fp32, fp16, int8"),
        (
            ("--pixel-format", "yuyv422"),
            "use rgb24, bgr24, rgba, nv12, with a comma between several",
        ),
        (
            ("--pixel-format", "nv12"),
            "which matrix they were made with; name it with --matrix bt709",
        ),
        (
            ("--pixel-format", "nv12", "--frame", "1081x1920"),
            "nv12 frames of 1081 x 1920: a graph takes even sides only",
        ),
        (("--pixel-format", "bgr24", "--frame", "none"), "--pixel-format is of frame graphs"),
        (("--frame", "1080p"), "--frame 1080p: not a size; give height x width"),
        (("--score", "100x1920"), "a side has at least 224 pixels"),
        (("--activation", "relu"), "'auto', 'quick-gelu', 'gelu'"),
    ],
)
def test_options_that_do_not_exist_are_wrong_usage(maclip, tmp_path, option, reason):
    done = maclip("export", "--checkpoint", "clip.pt", "--output", tmp_path / "out", *option)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert reason in " ".join(
        done.stderr.replace("│", " ").split()
    )  # of a box, with long lines cut
