"""The threshold for a false-reject rate, and what is known of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from maclip_runtime.errors import UsageError
from maclip_runtime.gate.threshold import choose_threshold, count_needed

BAD = np.zeros(5)


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=120),
    st.sampled_from([0.01, 0.05, 0.07, 0.5]),
)
def test_no_more_than_the_rate_is_rejected_and_no_higher_value_would_do(values, rate):
    accept = np.array(values, np.float64)
    threshold = choose_threshold(accept, BAD, rate)
    assert threshold.false_reject == (accept < threshold.value).mean() <= rate
    higher = accept[accept > threshold.value]
    if len(higher):
        assert (accept < higher.min()).mean() > rate


@pytest.mark.parametrize("number", [20, 100, 1000])
def test_new_pictures_are_rejected_within_the_interval_as_often_as_it_says(number):
    # Of uniform values, the threshold itself is the rate at which new ones are rejected.
    rng = np.random.default_rng(number)
    hits, widest = 0, None
    for _ in range(400):
        threshold = choose_threshold(rng.random(number), BAD, 0.05)
        low, high = threshold.false_reject_interval
        hits += low <= threshold.value <= high
        widest = (low, high)
    # 95 % of 400 is 380; 366 and 393 have binomial tails of 0.001.
    assert 365 <= hits <= 394, widest


def test_a_thousand_pictures_bound_the_quantile_on_both_sides():
    accept = np.sort(np.random.default_rng(1).normal(size=1000))
    low, high = choose_threshold(accept, BAD, 0.01).interval
    # Order statistics whose ranks have binomial probabilities of at most 2.5 % beyond them.
    ranks = stats.binom(1000, 0.01)
    assert np.searchsorted(accept, low) == ranks.ppf(0.025) - 1
    assert np.searchsorted(accept, high) == ranks.ppf(0.975)
    assert low < stats.norm.ppf(0.01) < high


def test_twenty_pictures_cannot_give_a_one_percent_quantile():
    threshold = choose_threshold(np.arange(20.0), BAD, 0.01)
    assert threshold.value == 0
    assert threshold.interval[0] is None
    # The lowest of 20 rejects up to 1 - 0.025^(1/20) of new pictures.
    assert threshold.false_reject_interval[1] == pytest.approx(1 - 0.025 ** (1 / 20))


def test_what_is_caught_has_clopper_and_pearsons_interval():
    reject = np.array([0.0, 0.0, 0.0, 9.0])
    threshold = choose_threshold(np.full(10, 5.0), reject, 0.01)
    assert threshold.caught == 0.75
    assert threshold.caught_interval == pytest.approx((0.19412, 0.99369), abs=1e-5)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_so_many_pictures_as_are_needed_are_enough_and_far_fewer_are_not(rate):
    def highest(number):
        return choose_threshold(np.arange(float(number)), BAD, rate).false_reject_interval[1]

    needed = count_needed(rate)
    assert all(
        highest(number) <= 2 * rate for number in range(needed, needed + 2 * round(1 / rate))
    )
    assert highest(needed // 2) > 2 * rate


@pytest.mark.parametrize("rate", [0, -1, 0.6, float("nan")])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(UsageError, match="false-reject rate"):
        choose_threshold(np.ones(3), BAD, rate)


def test_both_groups_are_needed():
    with pytest.raises(UsageError, match="at least one of each"):
        choose_threshold(np.ones(3), np.array([]), 0.01)
