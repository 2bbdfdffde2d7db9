"""Prompt pairs that are reported and not scored, from YAML to the score."""

import pytest

from maclip_export.errors import PromptsError
from maclip_export.prompts import read_prompts, replace_prompts
from maclip_runtime import Scorer
from maclip_runtime.bundle.manifest import PromptPair

HAZE = "haze: {good: Clear image, bad: hazy image, scored: false}\n"


@pytest.fixture
def bundle(plain_bundle):
    """A bundle without score graphs, which would keep the old prompts."""
    return plain_bundle("rn-small").path


def write(folder, text):
    path = folder / "prompts.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_says_which_pairs_are_not_scored(tmp_path):
    text = HAZE + "dirt: {good: Clean lens, bad: dirty lens}\n"
    assert read_prompts(write(tmp_path, text)) == (
        PromptPair("haze", "Clear image", "hazy image", scored=False),
        PromptPair("dirt", "Clean lens", "dirty lens", scored=True),
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("haze: {good: a, bad: b, scored: 0}", "use true or false"),
        ("haze: {good: a, bad: b, scored: 'no'}", "use true or false"),
        ("haze: {good: a, scored: false}", "needs `good` and `bad`"),
        ("haze: {good: a, bad: b, weight: 2}", "needs `good` and `bad`"),
        ("score: {good: a, bad: b}", "name of a cue"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path, text, fault):
    with pytest.raises(PromptsError, match=fault):
        read_prompts(write(tmp_path, text))


def test_an_added_pair_is_reported_and_leaves_the_score_to_the_last_bit(bundle, tmp_path, frame):
    before = Scorer(bundle).score(frame)
    replace_prompts(bundle, read_prompts(write(tmp_path, HAZE)), add=True)
    after = Scorer(bundle).score(frame)
    for name in ("score", "similarity", "magnitude", "weight"):
        assert getattr(after, name) == getattr(before, name)
    assert list(after.attributes) == [*before.attributes, "haze"]
    assert {name: after.attributes[name] for name in before.attributes} == before.attributes
    assert 0 < after.attributes["haze"] < 1


def test_the_command_adds_pairs_and_says_which_are_not_scored(maclip, bundle, tmp_path):
    done = maclip("prompts", bundle, "--prompts", write(tmp_path, HAZE), "--add")
    assert done.returncode == 0, done.stderr
    assert "6 prompt pairs: quality, sharpness, edges, resolution, noise, haze (not scored)" in (
        done.stdout
    )


def test_prompts_that_are_all_only_reported_are_refused_and_change_nothing(bundle, tmp_path):
    before = (bundle / "manifest.json").read_bytes()
    with pytest.raises(PromptsError, match="nothing to score by"):
        replace_prompts(bundle, read_prompts(write(tmp_path, HAZE)))
    assert (bundle / "manifest.json").read_bytes() == before
