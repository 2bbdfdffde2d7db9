"""Exporting end to end: bundles that score as the method does, and nothing left after a failure."""

import json

import numpy as np
import onnx
import pytest
import torch
import yaml

from maclip_export.checkpoints import load_file
from maclip_export.encoders import build_image_encoder
from maclip_export.errors import PromptsError, VerificationError
from maclip_export.export import export_bundle
from maclip_export.prompts import PUBLISHED_PROMPTS, embed_prompts, read_prompts, tokenize
from maclip_export.published import PublishedMethod
from maclip_export.published import embed_prompts as embed_published
from maclip_export.recache import recache_prompts
from maclip_export.verification import TOLERANCE, draw_scene, run_torch, verify_graph
from maclip_runtime import BundleError, Scorer, open_bundle
from maclip_runtime.bundle.manifest import PromptPair
from maclip_runtime.method.geometry import ViewGeometry


@pytest.fixture(scope="module")
def exported(checkpoint_file, tmp_path_factory):
    made = {}

    def find(arch):
        if arch not in made:
            destination = tmp_path_factory.mktemp("export") / f"{arch}.maclip"
            made[arch] = export_bundle(
                load_file(checkpoint_file(arch)), destination, PUBLISHED_PROMPTS
            )
        return made[arch]

    return find


@pytest.mark.parametrize("size", [(224, 224), (225, 901), (640, 480), (300, 200)])
def test_scores_equal_the_published_methods(exported, checkpoint, arch, size):
    frame = draw_scene(*size, seed=5)
    result = Scorer(exported(arch)).score(frame)
    if result.enlarged:  # what the method is given then is the enlarged frame
        frame = Scorer(exported(arch)).prepare(frame).frame
    expected = PublishedMethod(checkpoint.model, PUBLISHED_PROMPTS).score(frame).score
    assert result.score == pytest.approx(expected, abs=2e-6)  # measured: 2e-7


def test_prompt_embeddings_equal_open_clips(exported, checkpoint, arch):
    expected = embed_published(checkpoint.model, PUBLISHED_PROMPTS).numpy()
    assert exported(arch).load_prompts() == pytest.approx(expected, abs=1e-6)


def test_graphs_are_single_files_that_old_readers_know(exported, arch):
    bundle = exported(arch)
    for file in bundle.manifest.files:
        if file.path.endswith(".onnx"):
            model = onnx.load(bundle.path / file.path, load_external_data=False)
            assert (model.ir_version, [o.version for o in model.opset_import]) == (8, [18])
            assert not any(t.data_location for t in model.graph.initializer)
            assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
            assert not any(element.metadata_props for element in model.graph.node)
    assert {p.name for p in bundle.path.iterdir()} == {
        "manifest.json",
        "prompts.npz",
        "image_encoder.fp32.onnx",
        "text_encoder.fp32.onnx",
    }


def test_every_graph_is_verified_at_one_and_at_several(exported, arch):
    checks = [f.verification for f in exported(arch).manifest.files if f.kind != "prompts"]
    assert len(checks) == 2
    for check in checks:
        assert 0 < check.difference <= check.tolerance
        assert "N = 1 and" in check.cases


def test_a_graph_that_computes_something_else_is_found(exported, checkpoint_file):
    bundle = exported("rn-small")
    encoder = build_image_encoder(load_file(checkpoint_file("rn-small")).model, ViewGeometry())
    with torch.no_grad():
        encoder.blocks[0].conv1.weight[0] *= 1.001
    views = np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32)
    with pytest.raises(VerificationError, match="differs from torch"):
        verify_graph(
            bundle.path / "image_encoder.fp32.onnx", run_torch(encoder), [views], 1e-5, "noise"
        )


def test_a_failed_verification_leaves_nothing(checkpoint_file, tmp_path, monkeypatch):
    monkeypatch.setitem(TOLERANCE, "fp32", 1e-12)
    with pytest.raises(VerificationError):
        export_bundle(load_file(checkpoint_file("rn-small")), tmp_path / "b", PUBLISHED_PROMPTS)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bundle_is_replaced_only_when_told(checkpoint_file, tmp_path):
    checkpoint = load_file(checkpoint_file("rn-small"))
    arguments = (checkpoint, tmp_path / "b", PUBLISHED_PROMPTS)
    export_bundle(*arguments, text_encoder=False)
    with pytest.raises(BundleError, match="--force"):
        export_bundle(*arguments)
    replaced = export_bundle(*arguments, text_encoder=False, replace_existing=True)
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
    with pytest.raises(BundleError, match="has no text_encoder"):
        recache_prompts(replaced, PUBLISHED_PROMPTS)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_prompts_are_recached_through_the_text_graph(checkpoint, arch, tmp_path, suffix):
    bundle = export_bundle(checkpoint, tmp_path / "b", PUBLISHED_PROMPTS)
    pairs = {"light": {"good": "A bright photo.", "bad": "A dark photo."}}
    text = json.dumps(pairs) if suffix == "json" else yaml.safe_dump(pairs)
    (tmp_path / f"p.{suffix}").write_text(text)
    wanted = (PromptPair("light", "A bright photo.", "A dark photo."),)
    recached = recache_prompts(bundle, read_prompts(tmp_path / f"p.{suffix}"))
    assert recached.manifest.prompts == wanted
    expected = embed_published(checkpoint.model, wanted).numpy()
    assert recached.load_prompts() == pytest.approx(expected, abs=1e-6)
    frame = draw_scene(300, 300)
    expected_score = PublishedMethod(checkpoint.model, wanted).score(frame).score
    assert Scorer(open_bundle(tmp_path / "b")).score(frame).score == pytest.approx(
        expected_score, abs=2e-6
    )


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
