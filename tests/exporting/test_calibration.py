"""Pictures for INT8: some calibrated on, others ranked, and how rankings are compared."""

import numpy as np
import pytest
from PIL import Image

from maclip_export.errors import CalibrationError
from maclip_export.quality.calibration import degrade_ranked, read_calibration
from maclip_export.quality.distortions import KINDS
from maclip_export.quality.rankings import compare_rankings
from maclip_runtime.method.geometry import ViewGeometry

GEOMETRY = ViewGeometry()


def test_a_ranking_is_the_rank_correlation_and_the_differences():
    ranking = compare_rankings([0.1, 0.4, 0.3, 0.9], [0.1, 0.3, 0.4, 0.8])
    assert ranking.srcc == pytest.approx(0.8)
    assert ranking.mean_difference == pytest.approx(0.025)
    assert ranking.largest_difference == pytest.approx(0.1)
    assert ranking.pictures == 4


def test_pictures_are_calibrated_on_or_ranked_never_both(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(30):
        noise = rng.integers(0, 256, (240, 700, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number:02}.png")
    pictures = read_calibration(tmp_path, GEOMETRY)
    assert (len(pictures.measured), len(pictures.ranked)) == (16, 6)
    assert all(min(f.shape[:2]) >= 224 for f in (*pictures.measured, *pictures.ranked))
    measured = {frame.tobytes() for frame in pictures.measured}
    assert not measured & {frame.tobytes() for frame in pictures.ranked}
    assert len(list(degrade_ranked(pictures))) == 6 * (1 + 2 * len(KINDS))


def write_nothing(directory):
    pass


def write_one(directory):
    Image.new("RGB", (300, 300)).save(directory / "one.png")


def write_broken(directory):
    write_one(directory)
    (directory / "two.png").write_text("no picture")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_nothing, "at least 2"),
        (write_one, "at least 2"),
        (write_broken, "two.png: not a pic"),
    ],
)
def test_calibration_pictures_that_do_not_do(tmp_path, write, message):
    write(tmp_path)
    with pytest.raises(CalibrationError, match=message):
        read_calibration(tmp_path, GEOMETRY)
