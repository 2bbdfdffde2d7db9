"""Which views take their turn, and what the others are taken to be. No engine: values are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
from PIL import Image, ImageFilter

from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Floats, Frame
from maclip_runtime.stream.change import (
    cut_thumbnails,
    measure_cells,
    measure_change,
    measure_detail,
)
from maclip_runtime.stream.turns import Turns
from reference.make_images import picture

HEIGHT, WIDTH = 490, 740  # 3 x 5 windows and some pixels left over
VIEWS = 16
COUNT = 3
ROUND = 6  # frames in which 16 views have their turn, 3 at a time


def draw(seed: int) -> Frame:
    """A picture with fine texture all over, so that there is something to lose by defocus."""
    rng = np.random.RandomState(seed)
    coarse = Image.fromarray(rng.normal(0, 40, (HEIGHT // 2, WIDTH // 2)).astype(np.float32))
    texture = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    textured = picture(rng, WIDTH, HEIGHT) + texture[..., None]
    return np.clip(textured, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def scene() -> Frame:
    return draw(1)


@pytest.fixture(scope="module")
def other_scene() -> Frame:
    return draw(2)


def film(scene: Frame, frames: int, noise: float = 2, seed: int = 0) -> Iterator[Frame]:
    """A still scene under sensor noise."""
    rng = np.random.default_rng(seed)
    field = np.rint(rng.normal(0, noise, (HEIGHT + 32, WIDTH + 32, 3))).astype(np.int16)
    for _ in range(frames):
        top, left = rng.integers(0, 32, 2)
        noisy = scene + field[top : top + HEIGHT, left : left + WIDTH]
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def blur(frame: Frame, radius: float) -> Frame:
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(radius)))


def thumbnails_of(frame: Frame) -> Floats:
    return cut_thumbnails(measure_cells(frame), ViewGeometry(), (3, 5))


class Played:
    """What came of a film: one entry a frame."""

    def __init__(
        self, frames: Iterable[Frame], count: int, values_of: Callable[[Frame], Floats]
    ) -> None:
        self.turns = Turns(ViewGeometry(), HEIGHT, WIDTH)
        self.chosen: list[list[int]] = []
        self.scenes: list[int] = []
        self.fresh: list[float] = []
        self.oldest: list[int] = []
        self.estimates: list[Floats] = []
        self.exact: list[Floats] = []
        for number, frame in enumerate(frames):
            chosen, scene = self.turns.choose(frame, count)
            values = values_of(frame)
            self.estimates.append(self.turns.settle(chosen, values[chosen]))
            self.exact.append(values)
            self.chosen.append(chosen.tolist())
            self.fresh.append(self.turns.fresh)
            self.oldest.append(int(self.turns.ages.max()))
            if scene:
                self.scenes.append(number)


def detail_of(frame: Frame) -> Floats:
    """Values that follow a view's own pixels: its detail, and something that has nothing to do with it."""
    detail = measure_detail(thumbnails_of(frame))
    return np.stack([detail, np.full_like(detail, 0.5)], axis=1)


def place_of(frame: Frame) -> Floats:
    return np.arange(VIEWS, dtype=np.float32)[:, None]


def test_with_all_views_every_frame_the_values_are_those_encoded(
    scene: Frame, other_scene: Frame
) -> None:
    frames = [*film(scene, 3), *film(other_scene, 3)]
    played = Played(frames, VIEWS, detail_of)
    np.testing.assert_array_equal(played.estimates, played.exact)
    assert played.fresh == [1.0] * 6


def test_the_same_frames_give_the_same_turns(scene: Frame, other_scene: Frame) -> None:
    frames = [*film(scene, 20), *film(other_scene, 20)]
    first, second = (Played(frames, COUNT, detail_of) for _ in range(2))
    assert first.chosen == second.chosen
    np.testing.assert_array_equal(first.estimates, second.estimates)


def test_each_frame_encodes_as_many_different_views_as_asked_in_ascending_order(
    scene: Frame,
) -> None:
    for chosen in Played(film(scene, 10), COUNT, detail_of).chosen:
        assert len(chosen) == COUNT
        assert chosen == sorted(set(chosen))


def test_the_first_round_sees_every_view(scene: Frame) -> None:
    played = Played(film(scene, ROUND), COUNT, detail_of)
    assert set().union(*played.chosen) == set(range(VIEWS))
    assert played.fresh == [3 / 16, 6 / 16, 9 / 16, 12 / 16, 15 / 16, 1]


def test_the_first_frame_of_a_stream_begins_a_scene(scene: Frame) -> None:
    assert Played(film(scene, 2), COUNT, detail_of).scenes == [0]


def test_in_a_still_scene_no_view_waits_much_longer_than_a_round(scene: Frame) -> None:
    played = Played(film(scene, 60), COUNT, detail_of)
    assert max(played.oldest[ROUND:]) <= 2 * ROUND


@pytest.mark.parametrize("noise", [1, 4, 12])
def test_sensor_noise_alone_begins_no_scene_and_makes_no_view_stale(
    scene: Frame, noise: float
) -> None:
    played = Played(film(scene, 60, noise), COUNT, detail_of)
    assert played.scenes == [0]
    assert played.fresh[ROUND:] == [1.0] * (60 - ROUND)


def test_a_cut_begins_a_scene_and_within_a_round_everything_is_fresh_again(
    scene: Frame, other_scene: Frame
) -> None:
    played = Played([*film(scene, 20), *film(other_scene, 20)], COUNT, detail_of)
    assert played.scenes == [0, 20]
    assert played.fresh[20] == COUNT / VIEWS
    assert played.fresh[20 + ROUND - 1 :] == [1.0] * (20 - ROUND + 1)


def test_after_a_cut_nothing_of_the_old_scene_is_left_in_the_values(
    scene: Frame, other_scene: Frame
) -> None:
    frames = [*film(scene, 20), *film(other_scene, 1)]
    numbers = iter(range(21))

    def values_of(frame: Frame) -> Floats:
        return np.full((VIEWS, 1), 7 if next(numbers) == 20 else 1, np.float32)

    played = Played(frames, COUNT, values_of)
    np.testing.assert_allclose(played.estimates[20], 7, rtol=1e-6)


def test_views_whose_part_of_the_picture_is_covered_come_first(scene: Frame) -> None:
    covered = scene.copy()
    covered[:224, :224] = 30  # all of window 0, and the corners of its neighbours 1, 5 and 6
    played = Played([*film(scene, 20), *film(covered, 2)], COUNT, detail_of)
    assert played.scenes == [0]
    assert 1 - played.fresh[20] < 4 / VIEWS
    assert 0 in played.chosen[20] + played.chosen[21]
    assert set(played.chosen[20]) <= {0, 1, 5, 6, VIEWS - 1}


def test_stale_windows_count_as_the_fresh_ones_around_them(scene: Frame) -> None:
    played = Played(film(scene, 2), COUNT, place_of)
    last = VIEWS - 1
    assert last in played.chosen[0]  # the global view is among the first
    windows = [view for view in played.chosen[0] if view != last]
    estimates = played.estimates[0][:last, 0]
    # No window counts as the global view, whose value of 15 is beyond all others.
    assert min(windows) - 0.01 <= estimates.min()
    assert estimates.max() <= max(windows) + 0.01
    # 3 and 7 are fresh: the corner beside 3 is nearer to that, the one below 7 to the other.
    assert windows == [3, 7]
    assert estimates[4] < 5 < estimates[12]
    assert estimates[[3, 7]].tolist() == [3, 7]


def test_a_slow_defocus_is_followed_without_delay(scene: Frame) -> None:
    """What was seen of the encoded views moves the others, in one column as far as in the other not."""
    radii = np.concatenate([np.zeros(15), np.linspace(0, 2, 60)])
    frames = [next(film(blur(scene, radius), 1, 1, k)) for k, radius in enumerate(radii.tolist())]
    played = Played(frames, COUNT, detail_of)
    assert played.scenes == [0]
    estimates, exact = np.array(played.estimates), np.array(played.exact)
    means, exact_means = estimates[20:, :, 0].mean(axis=1), exact[:, :, 0].mean(axis=1)
    error = np.abs(means - exact_means[20:]).mean()
    # Half a round's delay, as there would be if the others stayed as they were.
    delay = np.abs(exact_means[20:] - exact_means[20 - ROUND // 2 : -(ROUND // 2)]).mean()
    assert error < delay / 10
    np.testing.assert_allclose(estimates[20:, :, 1], 0.5, atol=1e-6)


def test_defocus_shows_in_the_detail_and_not_in_the_brightness(scene: Frame) -> None:
    sharp, soft = measure_cells(scene), measure_cells(blur(scene, 2))
    brightness = np.abs(sharp[0] - soft[0]).mean() / sharp[0].mean()
    detail = np.abs(sharp[1] - soft[1]).mean() / sharp[1].mean()
    assert detail > 5 * brightness


def test_views_that_change_have_their_turn_up_to_twice_as_often(scene: Frame) -> None:
    """The left of the picture creeps away; the rest stands still."""
    wide = np.concatenate([scene, scene[:, ::-1]], axis=1)

    def frames() -> Iterator[Frame]:
        for number, still in enumerate(film(scene, 120)):
            frame = still.copy()
            frame[:, :200] = wide[:, 4 * number : 4 * number + 200]
            yield frame

    played = Played(frames(), COUNT, detail_of)
    turns = np.bincount(np.concatenate(played.chosen[30:]), minlength=VIEWS)
    moving, still = [0, 5, 10], [4, 9, 14]  # the first and the last column of windows
    assert 1.3 < turns[moving].mean() / turns[still].mean() < 2.5
    assert max(played.oldest[ROUND:]) <= 4 * ROUND


def test_a_strobe_light_makes_no_view_wait_for_ever(scene: Frame) -> None:
    dark = scene // 3

    def frames() -> Iterator[Frame]:
        for number, frame in enumerate(film(scene, 120)):
            yield frame if number % 7 else next(film(dark, 1, seed=number))

    played = Played(frames(), 1, detail_of)
    assert len(played.scenes) > 20
    assert max(played.oldest[5 * VIEWS :]) <= 5 * VIEWS


def test_a_frame_shown_twice_teaches_nothing_about_the_noise(scene: Frame) -> None:
    frames = [frame for frame in film(scene, 40, 8) for _ in range(2)]
    played = Played(frames, COUNT, detail_of)
    assert played.scenes == [0]
    assert played.fresh[ROUND:] == [1.0] * (80 - ROUND)


def test_the_first_change_of_a_film_without_noise_may_be_a_cut(scene: Frame) -> None:
    """As in screen recordings and animations: until then nothing has moved at all."""
    other = np.ascontiguousarray(255 - scene[::-1])
    played = Played([scene] * 5 + [other] * 5 + [scene] * 5, COUNT, detail_of)
    assert played.scenes == [0, 5, 10]


def test_frames_that_could_not_be_encoded_leave_their_views_stale(scene: Frame) -> None:
    turns = Turns(ViewGeometry(), HEIGHT, WIDTH)
    frames = list(film(scene, 2))
    missed, _ = turns.choose(frames[0], COUNT)
    assert turns.fresh == 0
    chosen, scene_begins = turns.choose(frames[1], COUNT)
    assert chosen.tolist() == missed.tolist()
    assert not scene_begins


def test_cells_are_means_of_the_lines_that_are_read(scene: Frame) -> None:
    brightness, detail = measure_cells(scene)
    assert brightness.shape == detail.shape == (HEIGHT // 16, WIDTH // 16)
    cell = scene[32:48, 64:81].astype(float)  # row 2, column 4, and the pixels on its right
    upper, lower = cell[[0, 8]], cell[[1, 9]]
    across, down = np.abs(upper[:, 1:] - upper[:, :-1]), np.abs(upper - lower)[:, :16]
    # float32 sums of 96 values
    assert brightness[2, 4] == pytest.approx(upper[:, :16].mean(), rel=1e-5)
    assert detail[2, 4] == pytest.approx(across.mean() + down.mean(), rel=1e-5)


def test_a_window_has_the_cells_that_it_covers(scene: Frame) -> None:
    cells = measure_cells(scene)
    thumbnails = cut_thumbnails(cells, ViewGeometry(), (3, 5))
    assert thumbnails.shape == (VIEWS, 2, 14, 14)
    np.testing.assert_array_equal(thumbnails[7], cells[:, 8:22, 16:30])  # row 1, column 2
    assert measure_change(thumbnails, thumbnails).tolist() == [0.0] * VIEWS
