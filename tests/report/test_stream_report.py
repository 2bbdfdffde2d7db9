"""The report of streams: whole in any length, with its events and its worst moments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maclip_runtime.errors import UsageError
from maclip_runtime.report.stream import StreamReport
from maclip_runtime.report.timeline import Timeline

FRAME = np.full((90, 160, 3), 120, np.uint8)


def make_reading(frame, score, **more):
    return {
        "source": "cam",
        "frame": frame,
        "time": frame / 10,
        "score": score,
        "dropped": 0,
        **more,
    }


@given(st.integers(1, 6000), st.integers(0, 9))
def test_a_timeline_loses_no_reading_and_no_extreme_and_stays_small(count, seed):
    values = np.random.default_rng(seed).random(count)
    timeline = Timeline()
    for time, value in enumerate(values):
        timeline.add(float(time), float(value))
    bins = list(timeline)
    assert len(bins) <= 1024
    assert len(timeline) == count
    assert min(each.low for each in bins) == values.min()
    assert max(each.high for each in bins) == values.max()
    assert sum(each.total for each in bins) == pytest.approx(values.sum())
    assert [each.start for each in bins] == sorted(each.start for each in bins)


def write_stream(path, readings, **options):
    report = StreamReport({"bundle": "demo"}, **options)
    for reading in readings:
        report.add(reading, FRAME)
    report.write(path)
    return path.read_text(encoding="utf-8")


def test_the_worst_moments_are_the_lowest_that_are_apart(tmp_path):
    scores = dict.fromkeys(range(400), 0.9)
    scores.update({100: 0.2, 101: 0.1, 102: 0.15, 250: 0.4, 300: 0.3})
    readings = [make_reading(number, score) for number, score in scores.items()]
    text = write_stream(tmp_path / "s.html", readings, moments=3)
    shown = [
        line.split("frame ")[-1].split("<")[0] for line in text.splitlines() if "<li><img" in line
    ]
    assert shown == ["101", "300", "250"]


def test_events_are_listed_and_drawn(tmp_path):
    readings = [make_reading(number, 0.5) for number in range(50)]
    readings[20]["event"] = "alert"
    readings[30]["event"] = "<b>recovered</b>"
    text = write_stream(tmp_path / "s.html", readings)
    assert "<td>2.00</td><td>20</td><td>alert</td>" in text
    assert text.count('class="event"') == 2
    assert "&lt;b&gt;recovered&lt;/b&gt;" in text
    assert "<b>recovered" not in text


def test_readings_without_a_score_count_for_events_only(tmp_path):
    readings = [make_reading(0, 0.5), make_reading(1, None, event="lost"), make_reading(2, 0.5)]
    text = write_stream(tmp_path / "s.html", readings)
    assert "2 readings" in text
    assert "<td>lost</td><td></td>" in text


def test_without_readings_there_is_no_report(tmp_path):
    with pytest.raises(UsageError, match="no readings"):
        write_stream(tmp_path / "s.html", [])
