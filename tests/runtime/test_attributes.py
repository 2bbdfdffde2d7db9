"""Attributes: a probability per prompt pair, scored or only reported."""

import csv
import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from maclip_runtime import BundleError, Scorer, UsageError, open_bundle
from maclip_runtime.bundle.manifest import PromptPair
from maclip_runtime.bundle.staging import write_manifest, write_prompts
from maclip_runtime.results.formats import write_results

NAMES = ["quality", "sharpness", "edges", "resolution", "noise"]
FIGURES = ("score", "similarity", "magnitude", "weight")


def add_pair(source, destination, pair, place=None):
    """A copy of a bundle with one more prompt pair, its embeddings drawn."""
    bundle = open_bundle(shutil.copytree(source, destination))
    embeddings = bundle.load_prompts()
    drawn = np.random.default_rng(5).standard_normal((1, 2, embeddings.shape[2]))
    drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
    place = len(embeddings) if place is None else place
    together = np.insert(embeddings, place, drawn.astype(np.float32), axis=0)
    (destination / "prompts.npz").unlink()
    entry = write_prompts(destination, together)
    files = tuple(entry if file.role == "prompts" else file for file in bundle.manifest.files)
    pairs = (*bundle.manifest.prompts[:place], pair, *bundle.manifest.prompts[place:])
    write_manifest(destination, replace(bundle.manifest, prompts=pairs, files=files))
    return destination


def test_the_mean_of_the_attributes_is_the_similarity_cue(rn_small_bundle, frame):
    result = Scorer(rn_small_bundle).score(frame)
    assert list(result.attributes) == NAMES
    assert all(0 <= value <= 1 for value in result.attributes.values())
    # Means of float32 numbers below 1, in another order: some roundings of 6e-8.
    assert np.mean(list(result.attributes.values())) == pytest.approx(result.similarity, abs=3e-7)
    assert result.cues.attributes.shape == (result.views, len(NAMES))
    assert result.cues.attributes.mean(axis=1) == pytest.approx(result.cues.similarity, abs=3e-7)


@pytest.mark.parametrize("place", [None, 2, 0], ids=["last", "middle", "first"])
def test_a_pair_that_is_only_reported_changes_no_score(rn_small_bundle, frame, tmp_path, place):
    haze = PromptPair("haze", "Clear image", "hazy image", scored=False)
    before = Scorer(rn_small_bundle).score(frame)
    after = Scorer(add_pair(rn_small_bundle, tmp_path / "b", haze, place)).score(frame)
    for name in FIGURES:
        assert getattr(after, name) == getattr(before, name)
        assert (getattr(after.cues, name) == getattr(before.cues, name)).all()
    assert (
        open_bundle(tmp_path / "b").load_scored_prompts()
        == open_bundle(rn_small_bundle).load_prompts()
    ).all()
    assert {**after.attributes, "haze": None} == {**before.attributes, "haze": None}
    assert 0 <= after.attributes["haze"] <= 1
    assert after.map("haze").values.max() <= 1


def test_a_pair_that_is_scored_does(rn_small_bundle, frame, tmp_path):
    pair = PromptPair("haze", "Clear image", "hazy image")
    result = Scorer(add_pair(rn_small_bundle, tmp_path / "b", pair)).score(frame)
    assert np.mean(list(result.attributes.values())) == pytest.approx(result.similarity, abs=3e-7)
    assert result.similarity != Scorer(rn_small_bundle).score(frame).similarity


def test_a_bundle_whose_pairs_are_all_only_reported_is_refused(rn_small_bundle, tmp_path):
    bundle = shutil.copytree(rn_small_bundle, tmp_path / "b")
    manifest = json.loads((bundle / "manifest.json").read_text())
    for pair in manifest["prompts"]:
        pair["scored"] = False
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="no pair that is scored"):
        open_bundle(bundle)


def test_manifests_from_before_score_every_pair(rn_small_bundle, tmp_path):
    bundle = shutil.copytree(rn_small_bundle, tmp_path / "b")
    manifest = json.loads((bundle / "manifest.json").read_text())
    for pair in manifest["prompts"]:
        del pair["scored"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert open_bundle(bundle).manifest.scored == (True,) * len(NAMES)


def test_inspect_says_which_pairs_are_not_scored(maclip, rn_small_bundle, tmp_path):
    haze = PromptPair("haze", "Clear image", "hazy image", scored=False)
    done = maclip("inspect", add_pair(rn_small_bundle, tmp_path / "b", haze))
    assert done.returncode == 0, done.stderr
    assert "haze: Clear image / hazy image (reported, not scored)" in done.stdout
    assert done.stdout.count("not scored") == 1


@pytest.mark.parametrize("quantity", ["score", "similarity", "magnitude", "sharpness"])
def test_a_map_is_of_the_windows_values(rn_small_bundle, frame, quantity):
    result = Scorer(rn_small_bundle).score(frame)
    quality_map = result.map(quantity)
    if quantity == "sharpness":
        values = result.cues.attributes[:-1, NAMES.index("sharpness")]
    else:
        values = getattr(result.cues, quantity)[:-1]
    assert (quality_map.frame_size, quality_map.picture_size) == (frame.shape[:2], frame.shape[:2])
    assert values.min() <= quality_map.values.min() <= quality_map.values.max() <= values.max()
    # The top left cell was seen by the first window alone.
    assert quality_map.values[0, 0] == pytest.approx(values[0], abs=1e-6)


def test_maps_lie_over_the_picture_whatever_was_scored(rn_small_bundle, frame):
    preset = Scorer(rn_small_bundle, preset="448").score(frame).map()
    part = (1 * 128 + 224) / 448
    height, width = frame.shape[:2]
    assert preset.box == pytest.approx((0, 0, part * width, part * height))
    small = Scorer(rn_small_bundle).score(frame[:112, :224])  # enlarged twice
    assert small.map().box == pytest.approx((0, 0, (224 + 128) / 2, 112))


def test_an_unknown_quantity_is_refused(rn_small_bundle, frame):
    result = Scorer(rn_small_bundle).score(frame)
    with pytest.raises(UsageError, match="unknown quantity 'haze'.*sharpness"):
        result.map("haze")


def write(format, results):
    stream = io.StringIO()
    write_results(iter(results), format, stream, NAMES)
    return stream.getvalue()


def test_json_has_an_object_of_attributes_and_csv_a_column_each(rn_small_bundle, frame):
    result = Scorer(rn_small_bundle).score(frame)
    (record,) = json.loads(write("json", [result]))
    assert list(record["attributes"]) == NAMES
    assert record["attributes"] == pytest.approx(dict(result.attributes), rel=1e-6)
    (row,) = csv.DictReader(io.StringIO(write("csv", [result])))
    for name in NAMES:
        assert float(row[f"attribute_{name}"]) == record["attributes"][name]


def test_the_table_names_the_lowest_attribute(rn_small_bundle, frame):
    result = Scorer(rn_small_bundle).score(frame)
    lowest = min(result.attributes, key=result.attributes.get)
    assert f"{lowest} {result.attributes[lowest]:.2f}" in write("table", [result])


def test_a_score_shows_itself_in_a_notebook_whatever_its_name(rn_small_bundle, frame):
    result = replace(
        Scorer(rn_small_bundle).score(frame), path="<script>alert(1)</script>\u202e\udcff"
    )
    html = result._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e\\udcff" in html
    assert f"{result.score:.4f}" in html
    assert html.count("data:image/png;base64,") == 1
    html.encode()
