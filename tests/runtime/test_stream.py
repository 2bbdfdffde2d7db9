"""One frame in, one reading out: streams on the real demo encoder, filmed by a small simulated camera."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from benchmarks.speed.camera import Camera, Script
from maclip_runtime import PictureError, Reading, Scorer, Stream, UsageError
from maclip_runtime.engines.engine import Pending
from maclip_runtime.method.pixels import Frame
from maclip_runtime.vocabulary import ViewsPerFrame
from reference.make_images import picture

WIDTH, HEIGHT = 608, 352  # 2 x 4 windows
VIEWS = 9
EXACT = 1e-6  # the same float32 numbers, averaged in another order


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer("demo", threads=1)


@pytest.fixture(scope="module")
def camera() -> Camera:
    """A twelfth of the benchmark's film: 50 frames with everything that happens in it."""
    photographs = [picture(np.random.RandomState(seed), 800, 600) for seed in (1, 2, 3)]
    return Camera(photographs, WIDTH, HEIGHT, seed=4, script=Script().scale(1 / 12))


@pytest.fixture(scope="module")
def frames(camera: Camera) -> list[Frame]:
    return list(camera.film())


def read(scorer: Scorer, frames: list[Frame], count: ViewsPerFrame) -> list[Reading]:
    with Stream(scorer, views_per_frame=count) as stream:
        return [stream.push(frame, number / 30) for number, frame in enumerate(frames)]


@pytest.mark.parametrize("count", ["all", VIEWS, 1000])
def test_with_all_views_a_reading_is_the_published_score(
    scorer: Scorer, frames: list[Frame], count: ViewsPerFrame
) -> None:
    some = frames[::7]
    for frame, reading in zip(some, read(scorer, some, count), strict=True):
        score = scorer.score(frame)
        assert reading.score == pytest.approx(score.score, abs=EXACT)
        assert reading.similarity == pytest.approx(score.similarity, abs=EXACT)
        assert reading.magnitude == pytest.approx(score.magnitude, abs=EXACT)
        assert reading.weight == pytest.approx(score.weight, abs=EXACT)
        np.testing.assert_allclose(reading.cues.score, score.cues.score, atol=EXACT)
        np.testing.assert_allclose(reading.cues.attributes, score.cues.attributes, atol=EXACT)
        assert (reading.views, reading.refreshed, reading.fresh) == (VIEWS, VIEWS, 1.0)


def test_only_the_views_asked_for_are_encoded(
    scorer: Scorer, frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []
    submit = scorer.engine.submit

    def listen(frame: Frame, views: list[int]) -> Pending:
        asked.append(views)
        return submit(frame, views)

    monkeypatch.setattr(scorer.engine, "submit", listen)
    readings = read(scorer, frames[:5], 2)
    assert [len(views) for views in asked] == [2] * 5
    assert [reading.refreshed for reading in readings] == [2] * 5
    assert set().union(*asked) == set(range(VIEWS))


def test_views_that_were_encoded_for_this_frame_count_as_they_are(
    scorer: Scorer, frames: list[Frame]
) -> None:
    exact = scorer.score(frames[0]).cues.score
    reading = read(scorer, frames[:1], 3)[0]
    same = np.abs(reading.cues.score - exact) < EXACT
    assert same.sum() == 3
    assert reading.fresh == pytest.approx(3 / VIEWS)


def test_the_same_frames_give_the_same_readings(scorer: Scorer, frames: list[Frame]) -> None:
    first, second = (read(scorer, frames, 2) for _ in range(2))
    assert [r.score for r in first] == [r.score for r in second]


def test_turned_scores_stay_near_the_published_ones(scorer: Scorer, frames: list[Frame]) -> None:
    """The events follow each other too fast here for more; benchmarks.speed.streams measures it."""
    exact = np.array([scorer.score(frame).score for frame in frames])
    turned = np.array([reading.score for reading in read(scorer, frames, 3)])
    assert np.ptp(exact) > 0.1
    assert np.abs(turned - exact).mean() < 0.02


def test_a_cut_is_a_scene_and_a_round_later_everything_is_fresh(
    scorer: Scorer, camera: Camera, frames: list[Frame]
) -> None:
    cut = camera.script.cut
    readings = read(scorer, frames, 3)
    assert readings[cut].scene
    assert readings[cut].fresh == pytest.approx(3 / VIEWS)
    assert readings[cut + 2].fresh == 1


def test_frames_are_counted_and_times_are_passed_on(scorer: Scorer, frames: list[Frame]) -> None:
    readings = read(scorer, frames[:3], 1)
    assert [reading.frame for reading in readings] == [0, 1, 2]
    assert [reading.time for reading in readings] == [0, 1 / 30, 2 / 30]


def test_the_mean_of_the_attributes_is_the_similarity(scorer: Scorer, frames: list[Frame]) -> None:
    names = [pair.name for pair in scorer.bundle.manifest.prompts]
    for reading in read(scorer, frames[:20], 2):
        assert list(reading.attributes) == names
        mean = np.mean(list(reading.attributes.values()))
        assert reading.similarity == pytest.approx(mean, abs=1e-5)  # float32 through the turns


def test_a_frame_of_another_size_begins_anew(scorer: Scorer, frames: list[Frame]) -> None:
    larger = picture(np.random.RandomState(5), 640, 500)
    with Stream(scorer, views_per_frame=2) as stream:
        for number in range(6):
            before = stream.push(frames[number], number)
        after = [stream.push(larger, 6 + number) for number in range(2)]
        back = stream.push(frames[0], 8)
    assert (before.views, before.fresh, before.scene) == (VIEWS, 1.0, False)
    assert (after[0].views, after[0].fresh, after[0].scene) == (13, pytest.approx(2 / 13), True)
    assert (after[1].fresh, after[1].scene) == (pytest.approx(4 / 13), False)
    assert (back.views, back.scene, back.frame) == (VIEWS, True, 8)


def test_small_frames_are_enlarged_as_the_scorer_does(scorer: Scorer) -> None:
    small = picture(np.random.RandomState(6), 160, 120)
    score = scorer.score(small)
    with Stream(scorer, views_per_frame="all") as stream:
        reading = stream.push(small, 0)
    assert reading.enlarged
    assert (reading.width, reading.height, reading.views) == (160, 120, score.views)
    assert reading.score == pytest.approx(score.score, abs=EXACT)


def test_an_array_that_is_no_frame_is_an_error_and_the_stream_goes_on(
    scorer: Scorer, frames: list[Frame]
) -> None:
    with Stream(scorer, views_per_frame=3) as stream:
        stream.push(frames[0], 0)
        with pytest.raises(PictureError, match="uint8 RGB arrays"):
            stream.push(frames[1].astype(np.float32), 1)  # type: ignore[arg-type]
        assert stream.push(frames[2], 2).fresh == pytest.approx(6 / VIEWS)


def test_streams_that_share_an_engine_do_not_know_of_each_other(
    scorer: Scorer, frames: list[Frame]
) -> None:
    films = [frames[:15], frames[20:35], frames[35:]]
    alone = [read(scorer, film, 2) for film in films]
    with ThreadPoolExecutor(len(films)) as pool:
        together = list(pool.map(lambda film: read(scorer, film, 2), films))
    for first, second in zip(alone, together, strict=True):
        assert [r.score for r in first] == [r.score for r in second]


def test_frames_of_several_streams_may_be_under_way_at_once(
    scorer: Scorer, frames: list[Frame]
) -> None:
    one, other = frames[:12], frames[12:24]
    apart = read(scorer, one, 3), read(scorer, other, 3)
    with Stream(scorer, views_per_frame=3) as first, Stream(scorer, views_per_frame=3) as second:
        together: tuple[list[Reading], list[Reading]] = ([], [])
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            pending = first.submit(left, number / 30), second.submit(right, number / 30)
            for readings, each in zip(together, pending, strict=True):
                readings.append(each.result())
    for expected, found in zip(apart, together, strict=True):
        assert [each.score for each in found] == [each.score for each in expected]


def test_a_stream_takes_its_next_frame_after_the_last_ones_reading(
    scorer: Scorer, frames: list[Frame]
) -> None:
    with Stream(scorer) as stream:
        pending = stream.submit(frames[0], 0.0)
        with pytest.raises(UsageError, match="take its result first"):
            stream.submit(frames[1], 0.1)
        assert pending.result().frame == 0
        assert stream.push(frames[1], 0.1).frame == 1


def test_auto_begins_with_one_view_and_takes_more_where_there_is_time(
    scorer: Scorer, frames: list[Frame]
) -> None:
    with Stream(scorer, views_per_frame="auto", budget=3600) as stream:
        readings = [stream.push(frame, number / 30) for number, frame in enumerate(frames[:21])]
        assert stream.views_per_frame == VIEWS
    assert [reading.refreshed for reading in readings] == [1] * 10 + [VIEWS] * 11


def test_auto_keeps_to_one_view_where_there_is_no_time(scorer: Scorer, frames: list[Frame]) -> None:
    with Stream(scorer, views_per_frame="auto", budget=1e-6) as stream:
        readings = [stream.push(frame, number / 30) for number, frame in enumerate(frames[:21])]
    assert {reading.refreshed for reading in readings} == {1}


@pytest.mark.parametrize("count", [0, -1, 2.5, "some", None, True])
def test_a_number_of_views_that_is_none_is_refused(scorer: Scorer, count: object) -> None:
    with pytest.raises(UsageError, match="views_per_frame="):
        Stream(scorer, views_per_frame=count)  # type: ignore[arg-type]


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf")])
def test_a_budget_that_is_no_time_is_refused(scorer: Scorer, budget: float) -> None:
    with pytest.raises(UsageError, match="budget of"):
        Stream(scorer, views_per_frame="auto", budget=budget)


def test_a_closed_stream_takes_no_frames_and_leaves_the_scorer_open(
    scorer: Scorer, frames: list[Frame]
) -> None:
    stream = Stream(scorer)
    stream.push(frames[0], 0)
    stream.close()
    with pytest.raises(UsageError, match="closed"):
        stream.push(frames[1], 1)
    assert scorer.score(frames[0]).views == VIEWS
