"""Properties of the head that hold for any features."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from maclip_runtime.method.fusion import fuse_cues, weigh_cues
from maclip_runtime.method.head import Head, score_views
from maclip_runtime.method.magnitude import measure_magnitude
from maclip_runtime.method.similarity import measure_attributes

V, K, D = 3, 2, 16
floats = st.floats(-100, 100, width=32)
cues = arrays(np.float32, V, elements=st.floats(0, 2, width=32))
# Features with some spread: a constant |feature| has no standard deviation to be scaled by.
features = arrays(np.float32, (V, D), elements=floats).filter(
    lambda f: (np.abs(f).std(axis=1) > 0.1).all()
)


@st.composite
def unit_prompts(draw):
    raw = draw(arrays(np.float32, (K, 2, D), elements=st.floats(-1, 1, width=32)))
    raw[..., 0] += 3  # away from zero length
    return raw / np.linalg.norm(raw, axis=-1, keepdims=True)


@given(features, unit_prompts(), st.floats(0, 10))
def test_attributes_are_softmaxes_and_similarity_is_their_mean(f, prompts, logit_scale):
    f64, p64 = f.astype(np.float64), prompts.astype(np.float64)
    cosine = np.einsum("vd,kpd->vkp", f64 / np.linalg.norm(f64, axis=1, keepdims=True), p64)
    logits = np.exp(logit_scale) * cosine
    logits -= logits.max(axis=-1, keepdims=True)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    # float32 cosines are good to about 1e-7; the scale multiplies that, the logistic halves it twice.
    tolerance = 1e-6 + 2e-7 * np.exp(logit_scale)
    expected = softmax[..., 0]
    assert measure_attributes(f, prompts, logit_scale) == pytest.approx(expected, abs=tolerance)
    similarity = score_views(f, prompts, logit_scale, Head()).similarity
    assert similarity == pytest.approx(expected.mean(axis=1), abs=tolerance)


@pytest.mark.parametrize(("good", "bad", "expected"), [(1, -1, 1.0), (-1, 1, 0.0), (1, 1, 0.5)])
def test_attributes_are_stable_at_extreme_logits(good, bad, expected):
    f = np.zeros((1, D), np.float32)
    f[0, 0] = 1e10
    prompts = np.zeros((1, 2, D), np.float32)
    prompts[0, :, 0] = good, bad
    with np.errstate(all="raise", under="ignore"):
        assert measure_attributes(f, prompts, logit_scale=80.0)[0] == expected


def test_attributes_of_zero_features_is_even():
    prompts = np.eye(D, dtype=np.float32)[:4].reshape(2, 2, D)
    assert (measure_attributes(np.zeros((1, D), np.float32), prompts, 4.6) == 0.5).all()


@given(features, st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0]))
def test_magnitude_follows_box_cox(f, lam):
    a = np.abs(f.astype(np.float64))
    m = a / (a.std(axis=1, ddof=1, keepdims=True) + 1e-6)
    transformed = np.log(m + 1) if lam == 0 else ((m + 1) ** lam - 1) / lam
    assert measure_magnitude(f, lam) == pytest.approx(transformed.mean(axis=1), rel=2e-6)


@given(features)
def test_magnitude_at_small_lambda_tends_to_the_logarithm(f):
    # d/dlambda at 0 is mean(log(m+1)^2) / 2, below 15 for 16 channels
    assert measure_magnitude(f, 1e-6) == pytest.approx(measure_magnitude(f, 0), abs=2e-5)


@given(features, st.floats(0.5, 1000, width=32))
def test_magnitude_is_invariant_to_scale(f, factor):
    scaled = measure_magnitude(f * np.float32(factor), 0.5)
    # The guard 1e-6 beside a standard deviation of at least 0.05 shifts the cue by 2e-5 of itself.
    assert scaled == pytest.approx(measure_magnitude(f, 0.5), rel=5e-5)


def fuse(similarity, magnitude, alpha=1.0):
    values = {"similarity": similarity, "magnitude": magnitude}
    bases = {name: cue.base for name, cue in Head().cues.items()}
    weights = weigh_cues(values, bases, alpha)
    return weights["similarity"], fuse_cues(values, weights)


@given(cues, cues, st.floats(0, 5))
def test_fusion_is_a_convex_combination(similarity, magnitude, alpha):
    weight, score = fuse(similarity, magnitude, alpha)
    assert ((weight >= 0) & (weight <= 1)).all()
    slack = 1e-6
    assert (score >= np.minimum(similarity, magnitude) - slack).all()
    assert (score <= np.maximum(similarity, magnitude) + slack).all()


@given(cues, cues)
def test_fusion_weights_are_the_published_softmax(similarity, magnitude):
    d = similarity.astype(np.float64) - magnitude
    logits = np.stack([1.0 + d, 0.6 - d])
    weights = np.exp(logits) / np.exp(logits).sum(axis=0)
    weight, score = fuse(similarity, magnitude)
    assert weight == pytest.approx(weights[0], abs=5e-7)
    expected = weights[0] * similarity + weights[1] * magnitude
    assert score == pytest.approx(expected, abs=2e-6)


@given(st.lists(cues, min_size=3, max_size=4))
def test_more_cues_are_weighed_by_their_distance_from_the_others(values):
    named = {str(place): cue for place, cue in enumerate(values)}
    weights = weigh_cues(named, dict.fromkeys(named, 0.5), alpha=1.0)
    assert np.sum(list(weights.values()), axis=0) == pytest.approx(np.ones(V), abs=1e-6)
    stacked = np.stack(values)
    order = np.argsort(stacked, axis=0, kind="stable")
    sorted_weights = np.take_along_axis(np.stack(list(weights.values())), order, axis=0)
    assert (np.diff(sorted_weights, axis=0) >= -1e-6).all()


@given(features, unit_prompts(), st.permutations(range(V)))
def test_views_are_scored_each_on_their_own(f, prompts, order):
    together = score_views(f, prompts, 4.6, Head())
    shuffled = score_views(f[order], prompts, 4.6, Head())
    for name in ("similarity", "magnitude", "weight", "score"):
        assert getattr(shuffled, name) == pytest.approx(getattr(together, name)[order], abs=2e-5)


@given(features, unit_prompts())
def test_everything_stays_float32(f, prompts):
    result = score_views(f, prompts, 4.6, Head())
    assert result.attributes.shape == (V, K)
    for values in (
        result.attributes,
        result.score,
        *result.values.values(),
        *result.weights.values(),
    ):
        assert values.dtype == np.float32
        assert len(values) == V


@given(features, unit_prompts())
def test_means_are_over_all_views_or_those_chosen(f, prompts):
    cues = score_views(f, prompts, 4.6, Head())
    assert cues.mean().score == pytest.approx(float(cues.score.mean()))
    fresh = np.array([True, False, True])
    assert cues.mean(fresh).magnitude == pytest.approx(float(cues.magnitude[[0, 2]].mean()))
