"""Quality maps hold for any windows' values and any geometry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.quality_map import blend_windows

GEOMETRY = ViewGeometry()
sizes = st.tuples(st.integers(224, 1200), st.integers(224, 1200))


def draw_values(size, seed):
    rows, columns = GEOMETRY.grid(*size)
    return np.random.default_rng(seed).normal(0.8, 0.2, rows * columns).astype(np.float32)


@given(sizes, st.floats(-2, 2, width=32))
def test_equal_values_give_exactly_that_value_everywhere(size, value):
    rows, columns = GEOMETRY.grid(*size)
    blended = blend_windows(np.full(rows * columns, value, np.float32), GEOMETRY, size)
    assert (blended.values == np.float32(value)).all()
    assert blended.values.dtype == np.float32


@given(sizes, st.integers(0, 99))
def test_no_cell_lies_outside_the_range_of_the_values(size, seed):
    values = draw_values(size, seed)
    blended = blend_windows(values, GEOMETRY, size).values
    assert blended.min() >= values.min()
    assert blended.max() <= values.max()


@given(sizes, st.integers(0, 99))
def test_mirrored_and_turned_values_give_the_mirrored_and_turned_map(size, seed):
    grid = draw_values(size, seed).reshape(GEOMETRY.grid(*size))
    blended = blend_windows(grid.ravel(), GEOMETRY, size).values
    # Sums in another order differ by some float64 roundings, before they are rounded to float32.
    for turn in (np.fliplr, np.flipud):
        mirrored = blend_windows(turn(grid).ravel(), GEOMETRY, size).values
        assert mirrored == pytest.approx(turn(blended), abs=1e-6)
    turned = blend_windows(grid.T.ravel(), GEOMETRY, (size[1], size[0])).values
    assert turned == pytest.approx(blended.T, abs=1e-6)


def test_the_cell_in_the_middle_of_three_windows_is_the_middle_windows_own_but_for_its_neighbours():
    # Centres are 128 pixels apart and the kernel is cos^2(pi d / 224): by hand, for the cell that begins
    # at the middle window's centre, 16 pixels right of it.
    values = np.array([0, 1, 0], np.float32)
    blended = blend_windows(values, GEOMETRY, (224, 480))
    own, right = np.cos(np.pi * 16 / 224) ** 2, np.cos(np.pi * 112 / 224) ** 2
    assert blended.values[0, 240 // 32] == pytest.approx(own / (own + right), abs=1e-6)


def test_a_window_has_no_say_outside_itself():
    values = np.array([1, 0, 0, 0, 0], np.float32)
    blended = blend_windows(values, GEOMETRY, (224, 224 + 4 * 128)).values
    assert (blended[:, : 128 // 32] == 1).all()  # only the first window sees these
    assert (blended[:, 224 // 32 :] == 0).all()  # and it does not see these


def test_the_map_says_how_it_lies_over_the_picture_and_what_no_window_saw():
    # 600 x 400 has 2 rows and 3 columns of windows: 352 of 400 rows and 480 of 600 columns.
    blended = blend_windows(np.zeros(6, np.float32), GEOMETRY, (400, 600), quantity="magnitude")
    assert blended.values.shape == (11, 15)
    assert (blended.cell, blended.quantity) == (32, "magnitude")
    assert blended.box == (0, 0, 480, 352)
    assert blended.seen == pytest.approx(480 * 352 / (400 * 600))


def test_over_a_picture_that_was_resized_the_map_is_scaled_back():
    # Preset 448: two windows a side see 352 of 448 pixels, whatever the picture's own size.
    blended = blend_windows(
        np.zeros(4, np.float32), GEOMETRY, (448, 448), picture_size=(1000, 2000)
    )
    assert blended.box == pytest.approx((0, 0, 2000 * 352 / 448, 1000 * 352 / 448))


def test_as_many_values_as_windows_are_needed():
    with pytest.raises(ValueError, match="2 x 3 windows need 6 values"):
        blend_windows(np.zeros(7, np.float32), GEOMETRY, (400, 600))
