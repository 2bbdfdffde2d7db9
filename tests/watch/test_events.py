"""Events of simulated streams: alerts with hysteresis, drops, scenes. Pure: times are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from maclip_runtime import Reading, UsageError
from maclip_runtime.method.head import Cues
from maclip_runtime.stream.events import MARGIN, AlertRules, Events

FPS = 10
NO_CUES = Cues({}, {}, np.empty(0, np.float32), np.empty((0, 0), np.float32))
READING = Reading(
    frame=0, time=0.0, score=0.7, similarity=0.7, magnitude=0.7, weight=0.6, attributes={}, views=9,
    refreshed=3, fresh=1.0, detail=10.0, scene=False, width=640, height=360, enlarged=False, cues=NO_CUES,
)  # fmt: skip


def happen(rules, scores, *, scenes=(), detail=(), fresh=()):
    """(event, time) of a stream of these scores; detail and fresh by the index of the frame."""
    events = Events(rules)
    detail, fresh = dict(detail), dict(fresh)
    found = []
    for index, score in enumerate(scores):
        reading = replace(
            READING,
            time=index / FPS,
            score=float(score),
            scene=index in (0, *scenes),
            detail=detail.get(index, 10.0),
            fresh=fresh.get(index, 1.0),
        )
        found += [(event.name, reading.time) for event in events.read(reading)]
    return found


BELOW = AlertRules(below=0.5, after=2)
DROP = AlertRules(drop=0.2)


def test_an_alert_begins_when_the_score_was_below_for_so_long():
    assert happen(BELOW, [0.6] * 10 + [0.4] * 40) == [("alert", 3.0)]


def test_a_shorter_dip_is_no_alert():
    assert happen(BELOW, ([0.6] * 10 + [0.4] * 20) * 5) == []


def test_without_a_time_the_first_score_below_alerts():
    rules = AlertRules(below=0.5, after=0)
    assert happen(rules, [0.6, 0.4, 0.6]) == [("alert", 0.1), ("recovered", 0.2)]


def test_recovery_takes_as_long_and_a_margin():
    low, just_above, above = [0.4] * 30, [0.5 + MARGIN / 2] * 50, [0.5 + MARGIN] * 30
    assert happen(BELOW, low + just_above) == [("alert", 2.0)]
    assert happen(BELOW, low + just_above + above) == [("alert", 2.0), ("recovered", 10.0)]


@pytest.mark.parametrize("seed", range(20))
def test_a_score_at_the_threshold_gives_one_alert_at_most(seed):
    scores = np.random.default_rng(seed).normal(0.5, 0.004, 3000)  # a tenth of the margin: noise
    rules = AlertRules(below=0.5, after=0.2)
    assert [name for name, _ in happen(rules, scores)] == ["alert"]


@pytest.mark.parametrize("seed", range(10))
def test_alerts_and_recoveries_alternate_whatever_happens(seed):
    rng = np.random.default_rng(seed)
    scores = np.clip(0.55 + np.cumsum(rng.normal(0, 0.03, 2000)) * 0.2, 0, 1)
    rules = AlertRules(below=0.5, after=0.5, drop=0.1)
    scenes = rng.choice(2000, 20, replace=False)
    names = [name for name, _ in happen(rules, scores, scenes=scenes) if name != "scene"]
    assert names == (["alert", "recovered"] * len(names))[: len(names)]


def test_the_same_readings_give_the_same_events():
    scores = np.random.default_rng(1).uniform(0.3, 0.7, 500)
    rules = AlertRules(below=0.5, after=0.3, drop=0.1)
    assert happen(rules, scores) == happen(rules, scores)


def test_a_reading_that_is_mostly_stale_says_nothing():
    stale = dict.fromkeys(range(10, 40), 0.2)
    assert happen(AlertRules(below=0.5, after=0), [0.7] * 10 + [0.3] * 30, fresh=stale) == []


def test_a_sudden_drop_alerts_after_a_second_and_recovers():
    scores = [0.7] * 100 + [0.4] * 50 + [0.7] * 50
    assert happen(DROP, scores) == [("alert", 11.0), ("recovered", 16.0)]


def test_a_slow_change_of_the_light_is_no_drop():
    """0.3 in half an hour, at a minute's reference."""
    scores = np.linspace(0.7, 0.4, 1800 * FPS)
    assert happen(DROP, scores) == []


def test_a_cut_to_a_worse_scene_is_no_drop():
    scores = [0.7] * 100 + [0.4] * 200
    assert happen(DROP, scores, scenes=[100]) == [("scene", 10.0)]


def test_a_covered_lens_is_a_drop_though_it_looks_like_a_scene():
    detail = dict.fromkeys(range(100, 150), 1.0)
    scores = [0.7] * 100 + [0.4] * 50 + [0.7] * 50
    assert happen(DROP, scores, scenes=[100, 150], detail=detail) == [
        ("scene", 10.0), ("alert", 11.0), ("scene", 15.0), ("recovered", 16.0),
    ]  # fmt: skip


def test_a_lens_that_is_covered_in_three_steps_is_a_drop():
    detail = {100: 7.0, 101: 4.0, **dict.fromkeys(range(102, 200), 1.0)}
    scores = [0.7] * 100 + [0.6, 0.5] + [0.4] * 98
    found = happen(DROP, scores, scenes=[100, 101, 102], detail=detail)
    assert [name for name, _ in found] == ["scene", "scene", "scene", "alert"]


def test_a_drop_just_after_a_cut_is_measured_against_the_new_scene():
    scores = [0.7] * 100 + [0.5] * 100 + [0.25] * 50
    assert happen(DROP, scores, scenes=[100]) == [("scene", 10.0), ("alert", 21.0)]


def test_two_rules_give_one_alert():
    rules = AlertRules(below=0.5, after=3, drop=0.2)
    scores = [0.7] * 100 + [0.4] * 100 + [0.7] * 100
    assert happen(rules, scores) == [("alert", 11.0), ("recovered", 23.0)]


def test_the_first_scene_is_no_event():
    assert happen(AlertRules(), [0.5] * 10) == []
    assert happen(AlertRules(), [0.5] * 10, scenes=[4]) == [("scene", 0.4)]


def test_what_lasted_before_a_loss_does_not_go_on_after_it():
    events = Events(BELOW)
    assert events.read(replace(READING, score=0.4, time=0.0)) == []
    assert events.lose("gone").name == "lost"
    assert events.reconnect(60.0).name == "reconnected"
    assert events.read(replace(READING, score=0.4, time=60.0)) == []
    assert [event.name for event in events.read(replace(READING, score=0.4, time=62.0))] == [
        "alert"
    ]


@pytest.mark.parametrize(
    "rules", [{"below": float("nan")}, {"after": -1}, {"drop": 0}, {"drop": float("inf")}]
)
def test_rules_that_cannot_be_are_refused(rules):
    with pytest.raises(UsageError, match="alert"):
        AlertRules(**rules)
