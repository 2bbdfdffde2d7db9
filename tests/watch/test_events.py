"""Events: alerts with hysteresis, drops that are the lens's fault, scenes, losses."""

from dataclasses import dataclass, field

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
