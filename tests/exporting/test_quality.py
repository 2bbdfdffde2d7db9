"""What quality is measured on and by: frames scaled down, ladders, correlation with severity."""

import numpy as np
import pytest

from maclip_export.quality.frames import limit_side
from maclip_export.quality.ladders import correlate_severity, make_ladder, rank_severities
from maclip_export.verification import draw_scene

SEVERITIES = (0.0, 0.25, 0.5, 1.0)


@pytest.mark.parametrize(
    ("longest", "shortest", "expected"),
    [
        (300, 1, (150, 300, 3)),
        (600, 1, (300, 600, 3)),
        (900, 1, (300, 600, 3)),  # never enlarged
        (300, 224, (224, 448, 3)),  # the shorter side keeps what it must have
        (300, 400, (300, 600, 3)),
    ],
)
def test_sides_are_limited_and_the_aspect_is_kept(longest, shortest, expected):
    assert limit_side(draw_scene(300, 600), longest, shortest=shortest).shape == expected


def test_a_ladder_begins_with_the_picture_and_grows_worse():
    frame = draw_scene(100, 120)
    ladder = list(make_ladder(frame, "gaussian_noise", SEVERITIES, seed=3))
    assert (ladder[0] == frame).all()
    errors = [np.abs(level.astype(float) - frame).mean() for level in ladder]
    assert errors == sorted(errors)
    assert errors[0] < errors[1] < errors[-1]


def test_falling_scores_correlate_with_severity_and_flat_ones_have_no_correlation():
    assert correlate_severity(SEVERITIES, [0.9, 0.7, 0.4, 0.1]) == pytest.approx(1)
    assert correlate_severity(SEVERITIES, [0.1, 0.4, 0.7, 0.9]) == pytest.approx(-1)
    assert np.isnan(correlate_severity(SEVERITIES, [0.5] * 4))


def test_neighbours_out_of_order_lower_the_share_in_order():
    scores = np.array([[0.9, 0.7, 0.8, 0.1], [0.9, 0.8, 0.7, 0.6]])
    ranking = rank_severities(SEVERITIES, scores)
    assert ranking.ordered == pytest.approx(5 / 6)
    assert ranking.within == pytest.approx((0.8 + 1) / 2)  # one swap of four: 1 - 6 * 2 / 60
