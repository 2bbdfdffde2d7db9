"""Views are cut as the method says, from any frame, with bounded memory."""

import numpy as np
import pytest

from maclip_runtime.method.geometry import ViewGeometry, split_into_blocks
from maclip_runtime.method.pixels import normalise, resize_to_view
from maclip_runtime.method.views import iterate_views, normalise_block

GEOMETRY = ViewGeometry()


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [
        (224, 224, 2),
        (225, 901, 7),
        (351, 352, 3),
        (352, 352, 5),
        (1080, 1920, 99),
        (3000, 4000, 661),
    ],
)
def test_number_of_views(height, width, count):
    assert GEOMETRY.count(height, width) == count


def test_windows_go_row_by_row_from_the_top_left(frame):
    views = np.concatenate(list(iterate_views(frame, GEOMETRY, micro_batch=4)))
    rows, columns = GEOMETRY.grid(*frame.shape[:2])
    assert (rows, columns) == (2, 3)
    for index in range(rows * columns):
        top, left = 128 * (index // columns), 128 * (index % columns)
        window = frame[top : top + 224, left : left + 224]
        assert (views[index] == normalise(window, GEOMETRY).transpose(2, 0, 1)).all()


@pytest.mark.parametrize("side", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [(224, 224), (500, 1100), (1080, 1920)])
def test_blocks_hold_every_window_once(size, side):
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    rows, columns = GEOMETRY.grid(*size)
    seen = np.zeros((rows, columns), int)
    for block in split_into_blocks(frame.shape, GEOMETRY, side):
        pixels = normalise_block(frame, GEOMETRY, block)
        seen[block.rows, block.columns] += 1
        grid = seen[block.rows, block.columns].shape
        assert max(grid) <= side
        assert pixels.shape == (1, 3, *(224 + 128 * (n - 1) for n in grid))
        covered = frame[block.top, block.left]
        assert (pixels[0] == normalise(covered, GEOMETRY).transpose(2, 0, 1)).all()
    assert (seen == 1).all()


@pytest.mark.parametrize("micro_batch", [1, 3, 1000])
def test_views_do_not_depend_on_the_micro_batch(frame, micro_batch):
    views = list(iterate_views(frame, GEOMETRY, micro_batch))
    assert max(map(len, views)) <= micro_batch
    whole = next(iterate_views(frame, GEOMETRY, 100))
    assert (np.concatenate(views) == whole).all()


@pytest.mark.parametrize(
    "views", [[6], [0, 1, 2], [2, 3], [6, 5, 4, 1], [3, 3, 0], [1, 2, 3, 4, 6]]
)
def test_views_asked_for_are_those_of_all_in_that_order(frame, views):
    whole = next(iterate_views(frame, GEOMETRY, 100))
    chosen = np.concatenate(list(iterate_views(frame, GEOMETRY, 2, views)))
    assert (chosen == whole[views]).all()


def test_global_view_of_a_frame_of_one_view_is_the_frame():
    frame = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    assert (resize_to_view(frame, GEOMETRY).transpose(1, 2, 0) == normalise(frame, GEOMETRY)).all()


def test_global_view_samples_at_half_pixel_centres():
    """At twice the size, each sample lies in the middle of four pixels: their mean."""
    frame = np.random.default_rng(0).integers(0, 256, (448, 448, 3), np.uint8)
    expected = normalise(frame, GEOMETRY).reshape(224, 2, 224, 2, 3).mean(axis=(1, 3))
    assert resize_to_view(frame, GEOMETRY).transpose(1, 2, 0) == pytest.approx(expected, abs=1e-6)


def test_pixels_are_normalised_by_clips_statistics():
    white = normalise(np.full((1, 1, 3), 255, np.uint8), GEOMETRY)
    expected = (1 - np.array(GEOMETRY.mean)) / np.array(GEOMETRY.std)
    assert white[0, 0] == pytest.approx(expected, rel=1e-6)
