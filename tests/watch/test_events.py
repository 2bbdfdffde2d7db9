"""Events: alerts with hysteresis, drops that are the lens's fault, scenes, losses."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from maclip_runtime.errors import UsageError
from maclip_runtime.stream.events import AlertRules, Events

RATE = 10


@dataclass
class FakeReading:
    """What events look at of a reading."""

    time: float
    score: float
    fresh: float = 1.0
    scene: bool = False
    detail: float = 10.0
    attributes: dict = field(default_factory=dict)

    @property
    def quantities(self):
        return {"score": self.score, **self.attributes}


def run(rules, scores, **more):
    """The events of scores at ten a second, as (name, frame)."""
    events = Events(rules)
    found = []
    for frame, score in enumerate(scores):
        extra = {name: values[frame] for name, values in more.items()}
        reading = FakeReading(frame / RATE, score, **{"scene": frame == 0, **extra})
        found += [(event.name, frame) for event in events.read(reading)]
    return found


def test_an_alert_begins_after_the_score_was_low_for_so_long():
    scores = [0.8] * 5 + [0.4] * 30
    assert run(AlertRules(below=0.5, after=2.0), scores) == [("alert", 25)]
    assert run(AlertRules(below=0.5, after=0.0), scores) == [("alert", 5)]


def test_a_short_dip_is_no_alert():
    assert run(AlertRules(below=0.5, after=2.0), [0.8, *[0.4] * 19, 0.8, *[0.4] * 19, 0.8]) == []


def test_a_score_at_the_threshold_gives_one_alert_and_not_a_hundred():
    wavering = [0.4] * 30 + [0.505, 0.495] * 200 + [0.6] * 40
    found = run(AlertRules(below=0.5, after=1.0), wavering)
    assert found == [("alert", 10), ("recovered", 440)]


def test_the_first_scene_is_no_event_and_later_ones_are():
    scores = [0.8] * 30
    scene = [frame in (0, 12) for frame in range(30)]
    assert run(AlertRules(), scores, scene=scene) == [("scene", 12)]


def test_a_sudden_drop_is_an_alert_and_ends_when_the_score_is_back():
    scores = [0.8] * 50 + [0.5] * 40 + [0.79] * 30
    found = run(AlertRules(drop=0.2), scores)
    assert [name for name, _ in found] == ["alert", "recovered"]
    assert [frame for _, frame in found] == [60, 100]  # each lasted a second


def test_a_slow_change_is_no_drop():
    scores = [0.8 - 0.3 * frame / 3000 for frame in range(3000)]  # five minutes
    assert run(AlertRules(drop=0.2), scores) == []


def cut(detail_after):
    scores = [0.8] * 50 + [0.4] * 50
    scene = [frame in (0, 50) for frame in range(100)]
    detail = [10.0] * 50 + [detail_after] * 50
    return run(AlertRules(drop=0.2), scores, scene=scene, detail=detail)


def test_a_cut_to_a_worse_scene_is_no_fault_of_the_lens():
    assert cut(detail_after=8.0) == [("scene", 50)]


def test_a_covered_lens_is_told_from_a_cut_by_its_detail():
    assert [name for name, _ in cut(detail_after=1.0)] == ["scene", "alert"]


def test_readings_of_few_fresh_views_say_nothing():
    scores = [0.8] * 10 + [0.1] * 5 + [0.8] * 30
    fresh = [1.0] * 10 + [0.2] * 5 + [1.0] * 30
    assert run(AlertRules(below=0.5, after=0.2, drop=0.2), scores, fresh=fresh) == []


def test_time_lost_does_not_count_as_time_below():
    events = Events(AlertRules(below=0.5, after=2.0))
    assert events.read(FakeReading(0.0, 0.4)) == []
    assert events.lose("no data").name == "lost"
    assert events.read(FakeReading(60.0, 0.4)) == []
    assert [event.name for event in events.read(FakeReading(62.0, 0.4))] == ["alert"]
    assert events.reconnect(60.0).reason == "after 60.0 s"


def test_an_alert_may_go_by_another_quantity():
    events = Events(AlertRules(below=0.5, after=0.0, quantity="noise"))
    (event,) = events.read(FakeReading(0.0, 0.9, attributes={"noise": 0.3}))
    assert event.reason == "noise 0.300, below 0.5"


@pytest.mark.parametrize(
    "rules", [{"below": float("nan")}, {"after": -1.0}, {"drop": 0.0}, {"drop": float("inf")}]
)
def test_rules_that_cannot_be_are_refused(rules):
    with pytest.raises(UsageError):
        AlertRules(**rules)


@pytest.mark.parametrize("seed", range(10))
def test_alerts_and_recoveries_alternate_whatever_happens(seed):
    rng = np.random.default_rng(seed)
    scores = np.clip(0.55 + np.cumsum(rng.normal(0, 0.006, 2000)), 0, 1)
    scenes = set(rng.choice(2000, 20, replace=False))
    scene = [frame == 0 or frame in scenes for frame in range(2000)]
    found = run(AlertRules(below=0.5, after=0.5, drop=0.1), scores, scene=scene)
    names = [name for name, _ in found if name != "scene"]
    assert names == (["alert", "recovered"] * len(names))[: len(names)]


def test_a_lens_that_is_covered_in_three_steps_is_a_drop():
    scores = [0.8] * 50 + [0.7, 0.6] + [0.4] * 98
    scene = [frame in (0, 50, 51, 52) for frame in range(150)]
    detail = [10.0] * 50 + [7.0, 4.0] + [1.0] * 98
    found = run(AlertRules(drop=0.2), scores, scene=scene, detail=detail)
    assert [name for name, _ in found] == ["scene", "scene", "scene", "alert"]


def test_a_covered_lens_recovers_when_it_is_free_again():
    scores = [0.8] * 50 + [0.4] * 50 + [0.8] * 50
    scene = [frame in (0, 50, 100) for frame in range(150)]
    detail = [10.0] * 50 + [1.0] * 50 + [10.0] * 50
    found = run(AlertRules(drop=0.2), scores, scene=scene, detail=detail)
    assert found == [("scene", 50), ("alert", 60), ("scene", 100), ("recovered", 110)]


def test_after_a_cut_a_drop_is_measured_against_the_new_scene():
    scores = [0.8] * 50 + [0.6] * 50 + [0.35] * 50
    scene = [frame in (0, 50) for frame in range(150)]
    assert run(AlertRules(drop=0.2), scores, scene=scene) == [("scene", 50), ("alert", 110)]


def test_two_rules_make_one_alert():
    scores = [0.8] * 50 + [0.4] * 60 + [0.8] * 60
    found = run(AlertRules(below=0.5, after=3.0, drop=0.2), scores)
    assert found == [("alert", 60), ("recovered", 140)]  # below lasts longer, and so takes longer
