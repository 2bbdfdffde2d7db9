"""Correlations against scipy on known series, the logistic fit on data made with known parameters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.accuracy.correlations import (
    Agreement,
    correlate_pairs,
    correlate_ranks,
    correlate_values,
    measure_agreement,
)
from benchmarks.accuracy.logistic import fit_logistic

N = 300


def make_series(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores in a narrow band, as the magnitude cue's, and opinions that bend at both ends."""
    rng = np.random.default_rng(seed)
    scores = 0.7 + 0.01 * rng.normal(size=N)
    opinions = 50 + 30 * np.tanh((scores - 0.7) / 0.01) + rng.normal(0, 6, N)
    return scores, opinions


def measure(scores: np.ndarray, opinions: np.ndarray, **options: object) -> Agreement:
    settings = {"higher_is_better": True, "resamples": 0, "seed": 0} | options
    names = settings.pop("contents", [str(i) for i in range(len(scores))])
    return measure_agreement(scores, opinions, names, **settings)  # type: ignore[arg-type]


def apply_formula(x: np.ndarray, b: tuple[float, float, float, float, float]) -> np.ndarray:
    """The curve as it is written in the literature."""
    return b[0] * (0.5 - 1 / (1 + np.exp(b[1] * (x - b[2])))) + b[3] * x + b[4]


def test_statistics_are_scipys() -> None:
    scores, opinions = make_series()
    found = measure(scores, opinions)
    fitted = found.fit.map(scores)
    assert found.srcc.value == pytest.approx(stats.spearmanr(scores, opinions).statistic)
    assert found.krcc.value == pytest.approx(stats.kendalltau(scores, opinions).statistic)
    assert found.plcc_raw.value == pytest.approx(stats.pearsonr(scores, opinions).statistic)
    assert found.plcc.value == pytest.approx(stats.pearsonr(fitted, opinions).statistic)
    assert found.rmse.value == pytest.approx(np.sqrt(np.mean((fitted - opinions) ** 2)))
    assert found.plcc.value > found.plcc_raw.value


def test_known_values_with_ties() -> None:
    first, second = np.array([1.0, 2, 3, 4, 4]), np.array([1.0, 3, 2, 4, 5])
    assert correlate_ranks(first, second) == pytest.approx(0.8720816)
    assert correlate_pairs(first, second) == pytest.approx(7 / np.sqrt(90))
    assert correlate_values(first, 2 * first + 1) == pytest.approx(1)


def test_constant_scores_have_no_correlation() -> None:
    found = measure(np.full(20, 0.5), np.arange(20.0))
    assert np.isnan(found.srcc.value)
    assert np.isnan(found.plcc.value)
    assert found.rmse.value == pytest.approx(np.arange(20).std())
    assert found.fit.reason == "all scores are equal"


def test_opinions_where_lower_is_better_turn_the_sign_before_the_fit() -> None:
    scores, opinions = make_series()
    up = measure(scores, opinions)
    down = measure(scores, 100 - opinions, higher_is_better=False)
    for name in ("srcc", "krcc", "plcc_raw", "plcc", "rmse"):
        assert getattr(down, name).value == pytest.approx(getattr(up, name).value, rel=1e-5)


@pytest.mark.parametrize(
    "truth",
    [
        (60.0, 4.0, 0.5, 3.0, 40.0),
        (-60.0, 4.0, 0.5, -3.0, 40.0),  # falling
        (2.0, 0.7, -1.0, 0.0, 3.0),
        (90.0, 12.0, 0.2, 0.0, 50.0),  # steep
    ],
)
def test_fit_recovers_the_curve_that_made_the_data(
    truth: tuple[float, float, float, float, float],
) -> None:
    scores = np.random.default_rng(0).normal(0.3, 0.8, N)
    opinions = apply_formula(scores, truth)
    fit = fit_logistic(scores, opinions)
    assert fit.kind == "logistic"
    span = np.ptp(opinions)
    np.testing.assert_allclose(fit.map(scores), opinions, atol=1e-5 * span)
    # The parameters themselves, back on the scores' own scale; b1 and b2 may both turn their sign.
    b1, b2, b3, b4, _ = fit.parameters
    assert abs(b2) / fit.spread == pytest.approx(truth[1], rel=1e-3)
    assert b1 * np.sign(b2) == pytest.approx(truth[0], rel=1e-3)
    assert b3 * fit.spread + fit.centre == pytest.approx(truth[2], abs=1e-3)
    assert b4 / fit.spread == pytest.approx(truth[3], abs=1e-2)


def test_fit_through_noise_reaches_the_noise() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=2000)
    opinions = apply_formula(scores, (60.0, 3.0, 0.0, 1.0, 50.0)) + rng.normal(0, 5, 2000)
    residual = fit_logistic(scores, opinions).map(scores) - opinions
    assert np.sqrt(np.mean(residual**2)) == pytest.approx(5, rel=0.05)


def test_fit_does_not_depend_on_the_scores_scale() -> None:
    scores, opinions = make_series()
    plain = fit_logistic(scores, opinions).map(scores)
    scaled = fit_logistic(1e4 * scores - 3, opinions).map(1e4 * scores - 3)
    np.testing.assert_allclose(plain, scaled, rtol=1e-4)


def test_too_few_scores_fall_back_to_a_line_and_say_so() -> None:
    scores, opinions = np.arange(5.0), np.array([1.0, 3, 2, 5, 6])
    fit = fit_logistic(scores, opinions)
    assert (fit.kind, fit.reason) == ("linear", "needs more than 5 distinct scores")
    np.testing.assert_allclose(fit.map(scores), np.polyval(np.polyfit(scores, opinions, 1), scores))


def test_no_convergence_falls_back_to_a_line_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("Optimal parameters not found")

    monkeypatch.setattr("benchmarks.accuracy.logistic.curve_fit", fail)
    scores, opinions = make_series()
    fit = fit_logistic(scores, opinions)
    assert (fit.kind, fit.reason) == ("linear", "the logistic fit did not converge")
    np.testing.assert_allclose(fit.map(scores), np.polyval(np.polyfit(scores, opinions, 1), scores))


def test_a_curve_that_turns_back_is_reported() -> None:
    x = np.linspace(-3, 3, N)
    bent = apply_formula(x, (60.0, 5.0, 0.0, -8.0, 50.0))
    found = measure(x, bent)
    assert not found.fit.monotone
    assert found.srcc_fitted > found.srcc.value
    assert measure(*make_series()).fit.monotone


def test_intervals_are_seeded_and_hold_the_value() -> None:
    scores, opinions = make_series()
    first, again = (measure(scores, opinions, resamples=200, seed=3) for _ in range(2))
    other = measure(scores, opinions, resamples=200, seed=4)
    assert first == again
    assert first.srcc != other.srcc
    for name in ("srcc", "krcc", "plcc_raw", "plcc", "rmse"):
        estimate = getattr(first, name)
        assert estimate.low < estimate.value < estimate.high


def test_intervals_resample_scenes_not_pictures() -> None:
    scores, opinions = make_series()
    copies = 5
    scores, opinions = np.repeat(scores[:60], copies), np.repeat(opinions[:60], copies)
    scenes = [str(i // copies) for i in range(len(scores))]
    by_scene = measure(scores, opinions, resamples=300, contents=scenes).srcc
    by_picture = measure(scores, opinions, resamples=300).srcc
    # Copies add nothing, so honest intervals are about sqrt(copies) wider than naive ones.
    ratio = (by_scene.high - by_scene.low) / (by_picture.high - by_picture.low)
    assert ratio == pytest.approx(np.sqrt(copies), rel=0.3)


def test_one_scene_has_no_interval() -> None:
    scores, opinions = make_series()
    found = measure(scores, opinions, resamples=50, contents=["a"] * N)
    assert np.isnan(found.srcc.low)
    assert not np.isnan(found.srcc.value)
