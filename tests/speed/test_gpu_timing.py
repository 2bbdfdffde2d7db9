"""Statistics of repeated runs, on a clock that the subject itself moves."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.speed.timing import measure, summarise, sustain

FRAMES = [np.zeros((224, 224, 3), np.uint8), np.ones((224, 224, 3), np.uint8)]


class Clockwork:
    """A subject of which every frame takes `seconds`, in a stream half as much."""

    def __init__(self, seconds, device=None):
        self.now, self.seconds, self.device = 0.0, seconds, device
        self.scored = self.streamed = 0

    def score(self, frame):
        self.now += self.seconds
        self.scored += 1
        return 0.5

    def stream(self, frames):
        for _ in frames:
            self.now += self.seconds / 2
            self.streamed += 1
            yield 0.5

    def read_device_times(self):
        return self.device

    def clock(self):
        return self.now


def run(subject, **options):
    defaults = {"repeats": 3, "samples": 50, "budget": 60.0, "warm_up": 0.05}
    return measure(subject, FRAMES, **{**defaults, **options}, clock=subject.clock)


def test_every_sample_is_timed():
    timing = run(Clockwork(0.010))
    assert timing.wall.p50 == pytest.approx(10)
    assert timing.wall.p99 == pytest.approx(10)
    assert timing.rate.median == pytest.approx(200)
    assert timing.first == pytest.approx(10)
    assert (timing.samples, timing.repeats) == (50, 3)


def test_warm_up_and_repeats_score_as_often_as_said():
    subject = Clockwork(0.010)
    run(subject)
    assert subject.scored == 2 + 5 + 3 * 50  # 0.05 s of warm-up are five frames
    assert subject.streamed == 3 * 50


def test_slow_subjects_get_fewer_samples():
    timing = run(Clockwork(2.0), samples=200, budget=20)
    assert timing.samples == 10
    assert run(Clockwork(60.0), budget=20, repeats=1).samples == 3


def test_device_times_are_taken_where_there_are_any():
    assert run(Clockwork(0.01)).device is None
    timing = run(Clockwork(0.01, device=(0.5, 4.0)))
    assert timing.upload.p50 == 0.5
    assert timing.device.p50 == 4.0


def test_percentiles_are_over_all_samples_and_the_range_over_the_repeats():
    summary = summarise([[1.0] * 60, [3.0] * 60, [2.0] * 60])
    assert (summary.p50, summary.p99) == (2.0, 3.0)
    assert (summary.lowest, summary.highest) == (1.0, 3.0)


def test_one_slow_frame_in_a_hundred_shows_in_p99_only():
    summary = summarise([[1.0] * 98 + [50.0] * 2, [1.0] * 98 + [50.0] * 2])
    assert summary.p50 == 1.0
    assert summary.p99 == 50.0


def test_too_few_samples_have_no_p99():
    assert summarise([[1.0] * 99]).p99 is None
    assert summarise([[1.0] * 100]).p99 == 1.0


def test_a_stream_is_sustained_as_long_as_asked():
    subject = Clockwork(0.020)
    stream = sustain(subject, FRAMES, 3.0, subject.clock)
    assert stream.seconds == pytest.approx(3.0, abs=0.02)
    assert stream.frames == pytest.approx(300, abs=2)
    assert stream.rate == pytest.approx(100)
    assert stream.p50 == stream.p99 == pytest.approx(10)
