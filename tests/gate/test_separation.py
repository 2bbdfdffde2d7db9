"""ROC, its area and the area's interval, against scipy and cases with a known answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from maclip_runtime.gate.separation import measure_auc, measure_separation, trace_roc

samples = st.lists(st.integers(0, 12), min_size=1, max_size=30).map(
    lambda values: np.array(values, np.float64)
)


@given(samples, samples)
def test_the_area_is_mann_whitneys_statistic_over_the_number_of_pairs(accept, reject):
    u = stats.mannwhitneyu(accept, reject).statistic
    assert measure_auc(accept, reject) == pytest.approx(u / (len(accept) * len(reject)), abs=1e-12)


@given(samples, samples)
def test_the_area_is_the_area_under_the_roc(accept, reject):
    roc = trace_roc(accept, reject)
    heights = (roc.caught[1:] + roc.caught[:-1]) / 2
    area = (np.diff(roc.false_reject) * heights).sum()
    assert measure_auc(accept, reject) == pytest.approx(area, abs=1e-12)


@given(samples, samples)
def test_a_roc_point_is_what_its_threshold_does(accept, reject):
    roc = trace_roc(accept, reject)
    for threshold, false_reject, caught in zip(
        roc.thresholds, roc.false_reject, roc.caught, strict=True
    ):
        assert false_reject == (accept < threshold).mean()
        assert caught == (reject < threshold).mean()


def test_the_interval_covers_the_true_area_about_as_often_as_it_says():
    # Normals one standard deviation apart: AUC = Phi(1 / sqrt 2). Of 60 intervals of 95 %, 51 or fewer hit
    # with probability 0.001, and BCa of 40 and 30 values is known to be a little short.
    truth = stats.norm.cdf(1 / np.sqrt(2))
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(60):
        low, high = measure_separation(rng.normal(1, 1, 40), rng.normal(0, 1, 30)).interval
        hits += low <= truth <= high
    assert hits >= 51


def test_the_interval_of_many_pictures_is_the_percentiles():
    rng = np.random.default_rng(0)
    values = rng.normal(1, 1, 1001), rng.normal(0, 1, 30)
    separation = measure_separation(*values)
    corrected = measure_separation(values[0][:1000], values[1])
    assert (separation.method, corrected.method) == ("bootstrap, percentiles", "bootstrap, BCa")
    # One picture in a thousand hardly matters, so both ways must agree: within a fifth of their width.
    width = corrected.interval[1] - corrected.interval[0]
    assert separation.interval == pytest.approx(corrected.interval, abs=width / 5)


def test_the_same_pictures_give_the_same_interval():
    rng = np.random.default_rng(0)
    accept, reject = rng.normal(1, 1, 30), rng.normal(0, 1, 30)
    assert measure_separation(accept, reject) == measure_separation(accept, reject)


@pytest.mark.parametrize(("accepted", "rejected"), [(5, 5), (40, 12), (1, 100)])
def test_pictures_that_do_not_overlap_are_not_called_certain(accepted, rejected):
    separation = measure_separation(np.full(accepted, 2.0), np.zeros(rejected))
    assert separation.auc == 1
    # Clopper and Pearson's bound for n of n.
    n = min(accepted, rejected)
    expected = stats.binomtest(n, n).proportion_ci(0.95).low
    assert separation.interval == (pytest.approx(expected), 1)


def test_pictures_that_are_all_alike_say_nothing():
    separation = measure_separation(np.ones(9), np.ones(4))
    assert (separation.auc, separation.interval) == (0.5, (0, 1))
