"""How many views a frame "auto" finds, from times that are made up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from maclip_runtime.stream.budget import ViewBudget

VIEWS = 99
FRAME = 1 / 30


def run(
    budget: ViewBudget, cost_of: Callable[[int], float], frames: int, start: int = 0
) -> list[int]:
    """N at every frame of a camera at 30 frames a second."""
    counts = []
    for number in range(start, start + frames):
        counts.append(budget.count)
        budget.record(number * FRAME, cost_of(budget.count), VIEWS)
    return counts


def changes(counts: list[int]) -> int:
    return int(np.count_nonzero(np.diff(counts)))


@pytest.mark.parametrize(("overhead", "per_view"), [(0, 0.002), (0.004, 0.002), (0.02, 0.001)])
def test_constant_costs_are_met_once_and_held(overhead: float, per_view: float) -> None:
    budget = ViewBudget()
    counts = run(budget, lambda n: overhead + per_view * n, 3000)
    held = counts[-1]
    assert counts[1500:] == [held] * 1500
    assert counts == sorted(counts), (
        "rises alone, as the time of more views is never more than expected"
    )
    cost = overhead + per_view * held
    assert cost <= 0.8 * FRAME
    # A tenth more, were all cost in proportion to the views, would not fit.
    assert cost * max(1.1, (held + 1) / held) > 0.8 * FRAME


def test_an_engine_that_is_too_slow_for_one_view_a_frame_gets_one() -> None:
    assert set(run(ViewBudget(), lambda n: 0.2 * n, 500)) == {1}


def test_a_fast_engine_encodes_all_views_and_no_more() -> None:
    assert run(ViewBudget(), lambda n: 1e-5 * n, 500)[-1] == VIEWS


@pytest.mark.parametrize("seed", range(5))
def test_noisy_costs_do_not_make_it_oscillate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    budget = ViewBudget()
    counts = run(budget, lambda n: (0.003 + 0.0008 * n) * float(rng.lognormal(0, 0.2)), 9000)
    assert changes(counts[3000:]) <= 6  # in 200 seconds
    late = counts[3000:]
    assert min(late) >= 0.6 * max(late)
    usual = 0.003 + 0.0008 * float(np.median(late))
    assert 0.4 * FRAME < usual < 0.8 * FRAME


def test_single_hiccups_are_not_heeded() -> None:
    numbers = iter(range(10_000))
    counts = run(ViewBudget(), lambda n: 0.5 if next(numbers) % 40 == 39 else 0.002 * n, 2000)
    assert set(counts[100:]) == {13}


def test_when_views_become_dearer_it_gives_way_within_two_rounds() -> None:
    budget = ViewBudget()
    before = run(budget, lambda n: 0.002 * n, 600)
    after = run(budget, lambda n: 0.006 * n, 600, start=600)
    assert before[-1] == 13
    assert after[20] == 4
    assert after[20:] == [4] * 580


def test_when_views_become_cheaper_it_takes_more_but_waits_for_it() -> None:
    budget = ViewBudget()
    run(budget, lambda n: 0.002 * n, 300)
    run(budget, lambda n: 0.006 * n, 300, start=300)  # one fall: two rounds must agree on a rise
    counts = run(budget, lambda n: 0.002 * n, 600, start=600)
    assert counts[9] == 4
    assert counts[-1] == 13


def test_a_rise_that_is_taken_back_makes_the_next_one_rarer() -> None:
    """Costs that grow out of proportion, so that every rise overshoots: the worst case."""
    counts = run(ViewBudget(), lambda n: 0.0002 * n**2, 9000)
    falls = [k for k, step in enumerate(np.diff(counts)) if step < 0]
    assert len(falls) <= 40  # in 900 rounds; every second one, did it not learn
    assert np.diff(falls)[-1] > 5 * np.diff(falls)[0]


def test_the_budget_is_the_time_between_frames_unless_one_is_given() -> None:
    found, given = ViewBudget(), ViewBudget(0.1)
    run(found, lambda n: 0.002 * n, 100)
    run(given, lambda n: 0.002 * n, 100)
    assert found.seconds == pytest.approx(FRAME)
    assert (found.count, given.count) == (13, 40)


def test_frames_that_were_dropped_do_not_make_the_budget_larger() -> None:
    budget = ViewBudget()
    run(budget, lambda n: 0.002 * n, 100)
    for number in range(100):  # every second frame is missing
        budget.record(100 * FRAME + 2 * number * FRAME, 0.002 * budget.count, VIEWS)
    assert budget.seconds == pytest.approx(FRAME)
    assert budget.count == 13


def test_without_times_that_advance_it_stays_at_one() -> None:
    budget = ViewBudget()
    for _ in range(100):
        budget.record(0, 0.001, VIEWS)
    assert budget.seconds is None
    assert budget.count == 1
