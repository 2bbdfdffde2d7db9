"""The published method in eager PyTorch gives its recorded scores, and the runtime's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maclip_export.checkpoints import load_file
from maclip_export.published import PUBLISHED_CONSTANTS, PUBLISHED_VIEWS, PublishedMethod
from maclip_export.verification import draw_scene
from maclip_runtime import Scorer
from maclip_runtime.bundle.bundle import open_bundle
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.head import Head

RECORDED = json.loads(
    (Path(__file__).parents[1] / "reference" / "scores.json").read_text(encoding="utf-8")
)["scores"]
TOLERANCE = 5e-6  # measured: at most 5e-7, float32 rounding
HALF_TOLERANCE = 2e-3  # of a score; measured: at most 2e-4


@pytest.fixture(params=["rn-small", "vit-small"])
def arch(request):
    return request.param


@pytest.fixture
def open_method(bundle_of, arch):
    """The method on the CPU, from the checkpoint that lies beside the bundle it was exported to."""
    bundle = open_bundle(bundle_of(arch))
    checkpoint = bundle.path.with_suffix(".pt")

    def open_it(**options):
        model = load_file(checkpoint).model
        return PublishedMethod(model, bundle.manifest.prompts, **options)

    return open_it


def test_scores_are_the_recorded_ones(open_method, arch, pictures):
    method = open_method()
    for name, expected in RECORDED[arch]["native"].items():
        frame = np.array(Image.open(pictures / name))
        assert method.score(frame).score == pytest.approx(expected, abs=TOLERANCE), name


@pytest.mark.parametrize(("height", "width"), [(224, 224), (225, 901), (720, 1280)])
def test_scores_and_cues_are_the_runtimes(open_method, arch, bundle_of, height, width):
    frame = draw_scene(height, width)
    actual = open_method().score(frame)
    expected = Scorer(bundle_of(arch), engine="onnxruntime-cpu").score(frame)
    assert actual.score == pytest.approx(expected.score, abs=TOLERANCE)
    assert actual.similarity == pytest.approx(expected.similarity, abs=TOLERANCE)
    assert actual.magnitude == pytest.approx(expected.magnitude, abs=TOLERANCE)


def test_runs_of_views_are_one_batch(open_method):
    frame = torch.from_numpy(draw_scene(400, 500))
    expected = open_method().encode(frame)
    actual = open_method(views_per_run=4).encode(frame)
    assert torch.allclose(actual, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_half_precision_is_near(open_method):
    frame = draw_scene(360, 640)
    half = open_method(precision="fp16")
    assert half.encode(torch.from_numpy(frame)).dtype == torch.float32  # the head's input
    assert half.score(frame).score == pytest.approx(
        open_method().score(frame).score, abs=HALF_TOLERANCE
    )


def test_the_runtimes_defaults_are_the_published_constants():
    assert ViewGeometry() == PUBLISHED_VIEWS
    assert Head() == PUBLISHED_CONSTANTS


def test_the_model_given_is_left_as_it_was(bundle_of, arch):
    model = load_file(bundle_of(arch).with_suffix(".pt")).model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    PublishedMethod(model, open_bundle(bundle_of(arch)).manifest.prompts, precision="fp16")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
