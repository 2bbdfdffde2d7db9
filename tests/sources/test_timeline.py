"""Times of frames, where the stream says them and where it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maclip_runtime.sources.timeline import Timeline


def place(frames, *, live, frame_rate=10.0):
    """Times of frames given as (presentation time or None, arrival), and which were irregular."""
    timeline = Timeline(live=live, frame_rate=frame_rate)
    times, irregular = [], []
    for presented, arrived in frames:
        times.append(timeline.place(presented, arrived))
        irregular.append(timeline.irregular)
    return times, irregular


def test_a_file_keeps_its_presentation_times_however_fast_it_is_read():
    times, irregular = place([(0.0, 5.0), (0.04, 5.0), (1.5, 5.1)], live=False)
    assert times == [0.0, 0.04, 1.5]
    assert not any(irregular)


def test_missing_times_in_a_file_follow_by_one_frame():
    times, irregular = place([(None, 0), (None, 0), (0.5, 0), (None, 0)], live=False)
    assert times == pytest.approx([0.0, 0.1, 0.5, 0.6])
    assert irregular == [True, True, False, True]


def test_times_of_a_file_that_jump_back_go_on_from_where_they_were():
    times, irregular = place([(7.0, 0), (7.1, 0), (0.0, 0), (0.1, 0)], live=False)
    assert times == pytest.approx([7.0, 7.1, 7.2, 7.3])
    assert irregular == [False, False, True, False]


def test_a_camera_starts_at_zero_and_follows_its_own_clock():
    times, _ = place([(900.0, 50.0), (900.04, 50.3), (900.08, 50.3)], live=True)
    assert times == pytest.approx([0.0, 0.04, 0.08])


def test_frames_of_a_camera_without_a_time_have_that_of_their_arrival():
    times, _ = place([(None, 50.0), (None, 50.2), (3.0, 50.3), (3.1, 50.5)], live=True)
    assert times == pytest.approx([0.0, 0.2, 0.3, 0.4])


def test_a_camera_whose_clock_jumps_goes_on_at_the_time_of_arrival():
    times, irregular = place([(0.0, 50.0), (3600.0, 50.1), (3600.1, 50.2)], live=True)
    assert times == pytest.approx([0.0, 0.1, 0.2])
    assert irregular == [False, True, False]


@given(
    st.lists(st.tuples(st.none() | st.floats(-1e4, 1e4), st.floats(0, 30)), min_size=1),
    st.booleans(),
)
def test_times_never_decrease(frames, live):
    arrived = 0.0
    arriving = []
    for presented, gap in frames:
        arrived += gap
        arriving.append((presented, arrived))
    times, _ = place(arriving, live=live)
    assert times == sorted(times)
