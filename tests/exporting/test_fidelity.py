"""Narrower graphs keep the scores: measured on photographs and degraded versions of them.

Only trained weights tell here: the scores of random ones hardly differ between pictures.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr

from maclip_export.quality.distortions import KINDS, distort
from maclip_runtime import Scorer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def degraded_photographs():
    """The sample photographs, each through every kind of distortion at three severities: over 100."""
    frames = []
    for path in sorted((ROOT / "samples").glob("*.jpg")):
        frame = np.asarray(Image.open(path).convert("RGB"))
        frames.append(frame)
        for kind in KINDS:
            frames += [distort(frame, kind, severity, seed=1) for severity in (0.25, 0.5, 1.0)]
    assert len(frames) > 40
    return frames


@pytest.fixture(scope="session")
def float32_scores(demo_bundle, degraded_photographs):
    scorer = Scorer(demo_bundle, precision="fp32")
    return np.array([scorer.score(frame).score for frame in degraded_photographs])


@pytest.mark.parametrize(
    ("precision", "views", "least_srcc", "most_difference"),
    [
        ("fp16", "exact", 0.999, 2e-3),
        ("fp32", "dense", 0.995, 0.1),
        ("int8", "exact", 0.99, 0.1),
        ("int8", "dense", 0.99, 0.15),
    ],
)
def test_scores_and_ranking_are_kept(
    demo_bundle,
    degraded_photographs,
    float32_scores,
    precision,
    views,
    least_srcc,
    most_difference,
):
    scorer = Scorer(demo_bundle, precision=precision, views=views)
    results = [scorer.score(frame) for frame in degraded_photographs]
    assert {(r.precision, r.view_mode) for r in results} == {(precision, views)}
    scores = np.array([result.score for result in results])
    assert spearmanr(scores, float32_scores).statistic >= least_srcc
    assert np.abs(scores - float32_scores).max() <= most_difference


@pytest.mark.parametrize("arch", ["rn50", "vit-b32"])
def test_half_precision_keeps_the_scores_of_full_size_encoders(bundle_of, pictures, arch):
    paths = [pictures / name for name in ("224x224.png", "384x512.png", "512x384.png")]
    full, half = (Scorer(bundle_of(arch), precision=precision) for precision in ("fp32", "fp16"))
    for path in paths:
        assert half.score(path).score == pytest.approx(full.score(path).score, abs=2e-3)


def test_the_packaged_demo_is_the_checkpoints_export(demo_bundle, degraded_photographs):
    packaged = Scorer("demo")
    exported = Scorer(demo_bundle, precision="fp32")
    assert packaged.bundle.manifest.weights.demo
    assert packaged.bundle.manifest.weights.sha256 == exported.bundle.manifest.weights.sha256
    for frame in degraded_photographs[:5]:
        assert packaged.score(frame).score == pytest.approx(exported.score(frame).score, abs=1e-6)


def test_the_packaged_demo_is_small():
    size = sum(file.size for file in Scorer("demo").bundle.manifest.files)
    assert size < 8_000_000
