"""Exporting end to end: bundles that score as the method does, and nothing left after a failure."""

from functools import cache

import numpy as np
import onnx
import pytest
import torch

from maclip_export.checkpoints import load_file
from maclip_export.encoders import build_image_encoder
from maclip_export.errors import VerificationError
from maclip_export.export import export_bundle
from maclip_export.prompts import PUBLISHED_PROMPTS
from maclip_export.published import PublishedMethod, embed_prompts
from maclip_export.scenes import draw_scene
from maclip_export.verification import TOLERANCE, run_torch, verify_graph
from maclip_runtime import BundleError, Scorer, open_bundle
from maclip_runtime.method.geometry import ViewGeometry


@pytest.fixture(scope="session")
def exported(bundle_of):
    """The bundle of an architecture that all tests share, with every kind of file."""
    return cache(lambda arch: open_bundle(bundle_of(arch)))


@pytest.mark.parametrize("size", [(224, 224), (225, 901), (640, 480), (300, 200)])
def test_scores_equal_the_published_method(exported, checkpoint, arch, size):
    frame = draw_scene(*size, seed=5)
    result = Scorer(exported(arch)).score(frame)
    if result.enlarged:  # what the method is given then is the enlarged frame
        frame = Scorer(exported(arch)).prepare(frame).frame
    expected = PublishedMethod(checkpoint.model, PUBLISHED_PROMPTS).score(frame).score
    assert result.score == pytest.approx(expected, abs=2e-6)  # measured: 2e-7


def test_prompt_embeddings_equal_open_clips(exported, checkpoint, arch):
    expected = embed_prompts(checkpoint.model, PUBLISHED_PROMPTS).numpy()
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
    listed = {file.path for file in bundle.manifest.files}
    assert {p.name for p in bundle.path.iterdir()} == {"manifest.json", *listed}


def test_every_graph_is_verified(exported, arch):
    checks = {f.path: f.verification for f in exported(arch).manifest.files if f.role != "prompts"}
    assert len(checks) == (15 if arch == "rn-small" else 11)
    for path, check in checks.items():
        assert 0 < check.difference <= check.tolerance
        tried = "N = 1 and" if "encoder" in path else "synthetic scenes of"
        assert tried in check.cases


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


def test_an_existing_bundle_is_replaced_only_when_told(plain_bundle, checkpoint_file, tmp_path):
    path = plain_bundle("rn-small").path
    before = (path / "manifest.json").read_bytes()
    arguments = (load_file(checkpoint_file("rn-small")), path, PUBLISHED_PROMPTS)
    with pytest.raises(BundleError, match="use force=True to replace it"):
        export_bundle(*arguments)
    assert (path / "manifest.json").read_bytes() == before
    replaced = export_bundle(*arguments, text_encoder=False, replace_existing=True)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert [file.path for file in replaced.manifest.files] == [
        "prompts.npz",
        "image_encoder.fp32.onnx",
    ]
