"""Streams of the C library: the same decisions and the same readings as Python's on the same frames."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from libmaclip import (
    ALL_VIEWS,
    ARGUMENT,
    AUTO_VIEWS,
    FRAME,
    NativeError,
    Reading,
    Result,
    StreamOptions,
    as_frame,
    new,
)

from maclip_runtime import Scorer, Stream, open_bundle
from reference.make_images import picture

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def scorer():
    return Scorer("demo", engine="onnxruntime-cpu")


@pytest.fixture(scope="module")
def frames():
    """A pan, a cut, a flat frame, noise: 480 x 360, 2 x 3 windows; and then frames of other sizes."""
    rng = np.random.RandomState(4)
    scene, other = picture(rng, 640, 360), picture(rng, 480, 360)
    pan = [scene[:, 8 * step : 8 * step + 480] for step in range(10)]
    noisy = [
        np.clip(other + rng.normal(0, 4, other.shape), 0, 255).astype(np.uint8) for _ in range(6)
    ]
    covered = [np.full_like(other, 3)] * 3
    larger = [picture(rng, 500, 400)] * 3
    small = [picture(rng, 120, 90)] * 2
    return [np.ascontiguousarray(f) for f in [*pan, *noisy, *covered, *larger, *small, *noisy[:3]]]


def compare_readings(expected, found, reading):
    assert reading.frame == expected.frame
    assert reading.time == expected.time
    assert reading.refreshed == expected.refreshed
    assert bool(reading.scene) == expected.scene
    assert reading.fresh == pytest.approx(expected.fresh, abs=1e-6)
    assert reading.detail == pytest.approx(expected.detail, rel=1e-5)
    result = found.result
    assert result.views == expected.views
    assert (result.width, result.height) == (expected.width, expected.height)
    assert bool(result.enlarged) == expected.enlarged
    for name in ("score", "similarity", "magnitude", "weight"):
        assert getattr(result, name) == pytest.approx(getattr(expected, name), abs=TOLERANCE)
    assert found.attributes == pytest.approx(list(expected.attributes.values()), abs=TOLERANCE)
    assert np.abs(found.view_score - expected.cues.score).max() <= TOLERANCE
    assert np.abs(found.view_attributes - expected.cues.attributes).max() <= TOLERANCE


@pytest.mark.parametrize("views", [1, 3])
def test_readings_are_pythons_frame_by_frame(native_demo, scorer, frames, views):
    with Stream(scorer, views_per_frame=views) as stream, native_demo.stream(views) as other:
        for number, frame in enumerate(frames):
            expected = stream.push(frame, number / 25)
            compare_readings(expected, *other.push(frame, number / 25))


def test_with_all_views_a_reading_is_the_published_score(native_demo, frames):
    with native_demo.stream(ALL_VIEWS) as stream:
        for frame in frames[:3]:
            scored, reading = stream.push(frame, 0.0)
            assert scored.result.score == native_demo.score(frame).result.score
            assert reading.refreshed == scored.result.views
            assert reading.fresh == 1


def test_the_number_of_views_that_keeps_up_is_found(native_demo, frames):
    """With an hour a frame every view fits, after the first round of ten frames."""
    with native_demo.stream(AUTO_VIEWS, budget=3600) as stream:
        refreshed = [stream.push(frames[0], t / 25)[1].refreshed for t in range(12)]
    assert refreshed == [1] * 10 + [7] * 2


def test_a_frame_that_is_refused_is_counted_and_the_stream_goes_on(native_demo, scorer, frames):
    with Stream(scorer, views_per_frame=2) as stream, native_demo.stream(2) as other:
        compare_readings(stream.push(frames[0], 0.0), *other.push(frames[0], 0.0))
        with pytest.raises(Exception, match="too narrow"):
            stream.push(np.zeros((1, 1_000_000, 3), np.uint8), 1.0)
        narrow = np.zeros((1, 1_000_000, 3), np.uint8)
        with pytest.raises(NativeError, match="too narrow") as fault:
            other.scorer.library.call(
                "maclip_stream_push",
                *(other.handle, ctypes.byref(as_frame(narrow)), 1.0),
                *(ctypes.byref(new(Result)), None),
            )
        assert fault.value.status == FRAME
        compare_readings(stream.push(frames[1], 2.0), *other.push(frames[1], 2.0))


def test_a_stream_outlives_its_scorers_handle(native, onnxruntime_library, native_demo, frames):
    opened = native.open(open_bundle("demo").path, onnxruntime_library=onnxruntime_library)
    room = opened.make_room(*frames[0].shape[:2])
    with opened.stream(3) as stream:
        opened.__exit__()
        reading = new(Reading)
        given = as_frame(frames[0])
        native.call(
            "maclip_stream_push",
            stream.handle,
            ctypes.byref(given),
            0.0,
            ctypes.byref(room.result),
            ctypes.byref(reading),
        )
        assert reading.refreshed == 3


@pytest.mark.parametrize("budget", [-1.0, np.nan, np.inf])
def test_budgets_that_cannot_be(native_demo, budget):
    with pytest.raises(NativeError, match="a budget of .* seconds a frame; give a number above 0"):
        native_demo.stream(AUTO_VIEWS, budget=budget)


def test_a_result_without_room_is_refused_before_the_stream_has_moved(native_demo, scorer, frames):
    with Stream(scorer, views_per_frame=2) as stream, native_demo.stream(2) as other:
        compare_readings(stream.push(frames[0], 0.0), *other.push(frames[0], 0.0))
        score = (ctypes.c_float * 3)()
        result = new(Result, view_score=score, views_capacity=3)
        given = as_frame(frames[1])
        with pytest.raises(NativeError, match="room for 3, and this frame has 7") as fault:
            other.scorer.library.call(
                "maclip_stream_push",
                *(other.handle, ctypes.byref(given), 1.0, ctypes.byref(result), None),
            )
        assert fault.value.status == ARGUMENT
        found = other.push(frames[1], 2.0)[0]
        assert found.result.score == pytest.approx(stream.push(frames[1], 2.0).score, abs=TOLERANCE)


def test_options_of_another_size(native_demo):
    options = StreamOptions(size=8)
    handle = ctypes.c_void_p(1)
    with pytest.raises(NativeError, match="maclip_stream_options has a size of 8 bytes"):
        native_demo.library.call(
            "maclip_stream_open",
            *(native_demo.handle, ctypes.byref(options), ctypes.byref(handle)),
        )
    assert handle.value is None
