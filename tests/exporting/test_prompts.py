"""Prompts: read from files, embedded as open_clip does it, replaced in a bundle."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import yaml

from maclip_export import published
from maclip_export.errors import PromptsError
from maclip_export.graphs.running import open_graph
from maclip_export.prompts import (
    PUBLISHED_PROMPTS,
    embed_prompts,
    read_prompts,
    replace_prompts,
    tokenize,
)
from maclip_export.scenes import draw_scene
from maclip_runtime import BundleError, Scorer, open_bundle
from maclip_runtime.bundle.manifest import BundleFile, PlanOrigin, PromptPair
from maclip_runtime.bundle.staging import LOCK_NAME, add_file, write_manifest
from maclip_runtime.locks import lock_file

HAZE = (PromptPair("haze", "Clear air", "Hazy air", scored=False),)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_prompts_are_replaced_through_the_text_graph(
    plain_bundle, checkpoint, arch, tmp_path, suffix
):
    bundle = plain_bundle(arch)
    pairs = {"light": {"good": "A bright photo.", "bad": "A dark photo."}}
    text = json.dumps(pairs) if suffix == "json" else yaml.safe_dump(pairs)
    (tmp_path / f"p.{suffix}").write_text(text)
    wanted = (PromptPair("light", "A bright photo.", "A dark photo."),)
    replaced = replace_prompts(bundle.path, read_prompts(tmp_path / f"p.{suffix}"))
    assert replaced.manifest.prompts == wanted
    expected = published.embed_prompts(checkpoint.model, wanted).numpy()
    assert replaced.load_prompts() == pytest.approx(expected, abs=1e-6)
    frame = draw_scene(300, 300)
    expected_score = published.PublishedMethod(checkpoint.model, wanted).score(frame).score
    scorer = Scorer(open_bundle(bundle.path))
    assert scorer.score(frame).score == pytest.approx(expected_score, abs=2e-6)


def test_prompts_of_a_bundle_with_score_graphs_are_not_replaced(rn_small_bundle):
    with pytest.raises(PromptsError, match="score.any.fp32.onnx.* would keep the old prompts"):
        replace_prompts(rn_small_bundle, PUBLISHED_PROMPTS)


def test_a_plan_built_from_a_score_graph_keeps_the_old_prompts_too(plain_bundle):
    bundle = plain_bundle("rn-small")
    origin = PlanOrigin("tensorrt", "10.3", ("86",), "GPU", "score.any.fp32.onnx", "0", {})
    add_file(bundle, BundleFile("score.any.fp32.onnx", "score_graph", 0, ""), b"a graph")
    add_file(bundle, BundleFile("score.plan", "score_graph", 0, "", plan=origin), b"a plan")
    with pytest.raises(PromptsError, match="score.any.fp32.onnx, score.plan would keep"):
        replace_prompts(bundle.path, PUBLISHED_PROMPTS)


def test_a_bundle_without_a_text_encoder_keeps_its_prompts(plain_bundle):
    bundle = plain_bundle("rn-small")
    files = tuple(file for file in bundle.manifest.files if file.role != "text_encoder")
    write_manifest(bundle.path, replace(bundle.manifest, files=files))
    with pytest.raises(BundleError, match="has no text_encoder"):
        replace_prompts(bundle.path, PUBLISHED_PROMPTS)


def test_a_plan_that_is_added_while_prompts_are_replaced_is_kept(plain_bundle, monkeypatch):
    bundle = plain_bundle("rn-small")
    origin = PlanOrigin("tensorrt", "10.3", ("86",), "GPU", "image_encoder.fp32.onnx", "0", {})
    plan = BundleFile("image_encoder.plan", "image_encoder", 0, "", plan=origin)
    with ThreadPoolExecutor(1) as pool:

        def add_meanwhile(path):
            """The prompts' text graph is opened; from here on the new bundle is being made."""
            with (
                pytest.raises(BlockingIOError),
                lock_file(bundle.path / LOCK_NAME, wait=False),
            ):
                pass
            added.append(pool.submit(add_file, bundle, plan, b"a plan"))
            return open_graph(path)

        added = []
        monkeypatch.setattr("maclip_export.prompts.open_graph", add_meanwhile)
        replace_prompts(bundle.path, HAZE, add=True)
        added[0].result()
    manifest = open_bundle(bundle.path).manifest
    assert manifest.prompts[-1:] == HAZE
    assert "image_encoder.plan" in {file.path for file in manifest.files}
    assert {path.name for path in bundle.path.iterdir()} == {
        "manifest.json",
        *(file.path for file in manifest.files),
    }


BAD_PROMPTS = {
    "missing": (None, "cannot be read"),
    "not yaml": ("{a: [", "neither YAML nor JSON"),
    "empty": ("", "no prompt pairs"),
    "a list": ("[good, bad]", "no prompt pairs"),
    "half a pair": ("noise: {good: clean}", "pair 'noise' needs `good` and `bad`"),
    "empty prompt": ("noise: {good: clean, bad: ' '}", "empty prompt"),
    "a number": ("noise: {good: clean, bad: 7}", "no text"),
}


@pytest.mark.parametrize("kind", BAD_PROMPTS)
def test_prompt_files_that_do_not_say_what_is_needed(tmp_path, kind):
    text, message = BAD_PROMPTS[kind]
    path = tmp_path / "prompts.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PromptsError, match=message) as caught:
        read_prompts(path)
    assert "\n" not in str(caught.value)


def test_a_prompt_that_does_not_fit_is_refused():
    with pytest.raises(PromptsError, match="of at most 77; shorten it"):
        tokenize(["very " * 80 + "long"], 77)


def test_the_tokenizer_lower_cases():
    upper, lower = tokenize(["Sharp Image", "sharp image"], 77)
    assert (upper == lower).all()


def test_embeddings_have_unit_length():
    pairs = (PromptPair("a", "one", "two"), PromptPair("b", "three", "four"))
    embeddings = embed_prompts(pairs, lambda tokens: tokens[:, :8].astype(np.float32), 77)
    assert embeddings.shape == (2, 2, 8)
    assert np.linalg.norm(embeddings, axis=-1) == pytest.approx(1, abs=1e-6)
