"""Turns of views in the C library against `maclip_runtime.stream.turns` on the same frames.

All decisions are equal: which views are encoded, where scenes begin, what is stale. Values agree to the
rounding of float32: only their sums, and the logarithm of the detail, differ from NumPy's in the last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import twins
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.stream.change import cut_thumbnails, measure_cells, measure_detail
from maclip_runtime.stream.turns import Turns
from reference.make_images import picture

Frame = NDArray[np.uint8]
Footage = Callable[[int, int, int], Iterator[Frame]]

PUBLISHED = ViewGeometry()

# Values lie in 0..1 and detail's slope multiplies differences of up to about 1: a few float32 roundings.
TOLERANCE = 1e-5


def draw(seed: int, height: int, width: int) -> Frame:
    """A picture with fine texture all over."""
    rng = np.random.RandomState(seed)
    coarse = Image.fromarray(
        rng.normal(0, 40, (height // 2 + 1, width // 2 + 1)).astype(np.float32)
    )
    texture = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    textured = picture(rng, width, height) + texture[..., None]
    return np.clip(textured, 0, 255).astype(np.uint8)


class Sensor:
    """Noise: one field, which lies elsewhere in every frame."""

    def __init__(self, height: int, width: int, deviation: float) -> None:
        self._rng = np.random.default_rng(5)
        field = np.rint(self._rng.normal(0, deviation, (height + 32, width + 32, 3)))
        self._field = field.astype(np.int16)

    def expose(self, frame: Frame) -> Frame:
        height, width = frame.shape[:2]
        top, left = self._rng.integers(0, 32, 2)
        noisy = self._field[top : top + height, left : left + width] + frame
        return np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)


def film_events(height: int, width: int, frames: int) -> Iterator[Frame]:
    """A still scene, defocus and back, a cut, a covered corner, a pan, exposure; and frozen frames."""
    sensor = Sensor(height, width, 1.5)
    first, second = draw(1, height, width), draw(2, height, width)
    blurred = [
        np.asarray(Image.fromarray(first).filter(ImageFilter.GaussianBlur(radius)))
        for radius in np.linspace(0, 2, 8).tolist()
    ]
    wide = np.concatenate([second, second[:, ::-1]], axis=1)
    frozen = None
    for number in range(frames):
        part, progress = divmod(8 * number / frames, 1)
        if part == 0:
            frame = first
        elif part in (1, 2):
            frame = blurred[round(7 * (progress if part == 1 else 1 - progress))]
        elif part == 3:
            frame = second
        elif part == 4:
            frame = second.copy()
            frame[: height // 2, : width // 2] = 30
        elif part == 5:
            shift = round(progress * width)
            frame = wide[:, shift : shift + width]
        elif part == 6:
            frame = np.clip(second * (1.6 if progress > 0.5 else 0.5), 0, 255).astype(np.uint8)
        else:
            frame = first
        if part == 3 and progress > 0.6 and frozen is not None:
            yield frozen
            continue
        frozen = sensor.expose(frame)
        yield frozen


def film_strobe(height: int, width: int, frames: int) -> Iterator[Frame]:
    sensor = Sensor(height, width, 2)
    scene = draw(3, height, width)
    for number in range(frames):
        yield sensor.expose(scene if number % 7 else scene // 3)


def film_repetitive(height: int, width: int, frames: int) -> Iterator[Frame]:
    """A pattern that is the same in every window, so that changes and ages are full of ties."""
    cell = np.add.outer(np.arange(128) * 3, np.arange(128) * 5) % 251
    for number in range(frames):
        pattern = np.tile(np.roll(cell, number // 3, axis=1), (height // 128 + 1, width // 128 + 1))
        yield np.repeat(pattern[:height, :width, None].astype(np.uint8), 3, axis=2)


def film_darkness(height: int, width: int, frames: int) -> Iterator[Frame]:
    """Black, and now and then a line of light: most changes are 0."""
    for number in range(frames):
        frame = np.zeros((height, width, 3), np.uint8)
        if number % 5 == 3:
            frame[number % height] = 255
        yield frame


def values_of(frame: Frame, geometry: ViewGeometry, columns: int) -> NDArray[np.float32]:
    """Values that go with a view's detail, as scores do, each column in its own way."""
    thumbnails = cut_thumbnails(measure_cells(frame), geometry, geometry.grid(*frame.shape[:2]))
    detail = measure_detail(thumbnails)[:, None] / 5
    place = np.arange(len(detail), dtype=np.float32)[:, None] / len(detail)
    return np.clip(detail * np.linspace(0.2, 1, columns) + 0.1 * place, 0, 1).astype(np.float32)


class Pair:
    """The turns of Python and of the library over the same frames, which must agree on everything."""

    def __init__(self, geometry: ViewGeometry, size: tuple[int, int], count: int | None) -> None:
        self._python = Turns(geometry, *size)
        self._native = twins.Turns(geometry.size, geometry.stride, *size)
        assert self._native.views == self._python.views
        self._count = self._python.views if count is None else min(count, self._python.views)
        self.scenes = 0
        self.fresh: set[float] = set()

    def play(self, frame: Frame, values: NDArray[np.float32] | None) -> None:
        """values: of all views; None where the engine cannot take the frame."""
        chosen, scene = self._python.choose(frame, self._count)
        native_chosen, native_scene = self._native.choose(frame, self._count)
        assert (native_chosen.tolist(), native_scene) == (chosen.tolist(), scene)
        if values is not None:
            expected = self._python.settle(chosen, values[chosen])
            found = self._native.settle(values[chosen])
            np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
        assert self._native.fresh == self._python.fresh
        assert self._native.detail == pytest.approx(self._python.detail, rel=1e-5)
        self.scenes += scene
        self.fresh.add(self._native.fresh)

    def close(self) -> None:
        self._native.close()


def play(
    footage: Footage,
    size: tuple[int, int],
    counts: Sequence[int | None],
    frames: int,
    geometry: ViewGeometry = PUBLISHED,
) -> list[Pair]:
    """A film with so many views a frame; None is all of them."""
    pairs = [Pair(geometry, size, count) for count in counts]
    for number, frame in enumerate(footage(*size, frames)):
        frame = np.ascontiguousarray(frame)
        values = values_of(frame, geometry, 10) if number % 31 != 30 else None
        for pair in pairs:
            pair.play(frame, values)
    for pair in pairs:
        pair.close()
    return pairs


def test_hundreds_of_frames_with_every_event_are_decided_alike() -> None:
    pairs = play(film_events, (490, 740), (1, 3, 5, None), 400)
    assert all(pair.scenes > 2 for pair in pairs)
    assert all(len(pair.fresh) > 5 for pair in pairs[:3])  # views went stale, and came back


def test_so_are_those_of_720p() -> None:
    pairs = play(film_events, (720, 1280), (2, 4), 160)
    assert all(pair.scenes > 2 for pair in pairs)


def test_so_is_1080p_with_11_of_99_views() -> None:
    (pair,) = play(film_events, (1080, 1920), (11,), 48)
    assert pair.scenes > 2


def test_a_strobe_light_is_decided_alike() -> None:
    pairs = play(film_strobe, (490, 740), (1, 4), 200)
    assert all(pair.scenes > 20 for pair in pairs)


@pytest.mark.parametrize("footage", [film_repetitive, film_darkness])
def test_ties_are_decided_alike(footage: Footage) -> None:
    """Windows that look the same have the same change to the last bit in both, and the order decides."""
    play(footage, (736, 992), (4,), 150)


@pytest.mark.parametrize("size", [(224, 224), (225, 1000), (1000, 230)])
def test_the_smallest_and_the_narrowest_frames_are_decided_alike(size: tuple[int, int]) -> None:
    play(film_events, size, (1,), 120)


@pytest.mark.parametrize(("view", "stride"), [(96, 40), (32, 16), (200, 100), (250, 130)])
def test_windows_that_begin_within_a_cell_are_decided_alike(view: int, stride: int) -> None:
    play(film_events, (300, 420), (3,), 100, ViewGeometry(view, stride))


def test_padded_rows_change_nothing() -> None:
    frame = draw(4, 300, 400)
    padded = np.full((300, 417, 3), 255, np.uint8)
    padded[:, :400] = frame
    tight, wide = (twins.Turns(224, 128, 300, 400) for _ in range(2))
    for turns, pixels in ((tight, frame), (wide, padded[:, :400])):
        turns.choose(pixels, 2)
    assert tight.detail == wide.detail
    tight.close()
    wide.close()
