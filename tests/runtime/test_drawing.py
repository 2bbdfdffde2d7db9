"""The colour scale, and a map drawn beside its picture."""

import numpy as np
import pytest
from PIL import Image, ImageFont

from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.quality_map import blend_windows
from maclip_runtime.report import drawing
from maclip_runtime.report.axes import list_ticks, span_values
from maclip_runtime.report.colours import colour_values, make_scale


def to_oklab(rgb):
    """sRGB to OKLab by the matrices of Ottosson's article, the other way than the product goes."""
    part = rgb / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(linear @ to_lms.T) @ to_lab.T


def test_steps_of_the_scale_look_equally_large():
    # Ends of 32 steps; a colour of 8 bits is off by up to 0.004 in OKLab.
    steps = np.linalg.norm(np.diff(to_oklab(make_scale(33)), axis=0), axis=1)
    assert steps == pytest.approx(np.full(32, steps.mean()), abs=0.005)


def test_the_scale_is_readable_in_gray():
    lightness = to_oklab(make_scale(64))[:, 0]
    assert (np.diff(lightness) > 0.004).all()
    gray = np.asarray(Image.fromarray(make_scale(256)[None]).convert("L")).astype(int)
    assert (np.diff(gray[0]) >= 0).all()
    assert gray[0, -1] - gray[0, 0] > 180


def test_values_outside_the_range_take_the_colours_of_its_ends():
    low, inside, high = colour_values(np.array([-5, 0.5, 9], np.float32), 0, 1)
    scale = make_scale()
    assert (low == scale[0]).all()
    assert (inside == scale[128]).all()
    assert (high == scale[-1]).all()


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0.43, 0.61, [0.45, 0.5, 0.55, 0.6])],
)
def test_scales_have_round_numbers(low, high, ticks):
    assert list_ticks(low, high) == pytest.approx(ticks)


def test_a_range_is_never_so_narrow_that_noise_looks_like_damage():
    low, high = span_values(np.array([0.8, 0.801], np.float32))
    assert high - low >= 0.1
    assert low < 0.8 < 0.801 < high


def draw(title="title", picture=None):
    frame = np.full((400, 600, 3), 128, np.uint8) if picture is None else picture
    values = np.array([0, 0.5, 1, 0, 0.5, 1], np.float32)
    quality_map = blend_windows(values, ViewGeometry(), (400, 600))
    return drawing.draw_map(
        frame, quality_map, title=title, notes=["a note"], side=300
    ), quality_map


def test_the_map_is_coloured_where_windows_saw_and_faint_where_none_did():
    _, quality_map = draw()
    picture = Image.new("RGB", (600, 400), (128, 128, 128))
    painted = np.asarray(drawing.paint_map(picture, quality_map, 0, 1))
    scale = make_scale()
    assert (painted[50, 20] == scale[0]).all()
    assert (painted[50, 470] == scale[-1]).all()
    unseen = painted[:, 481:]
    assert (unseen == unseen[0, 0]).all()
    assert unseen[0, 0].min() > 200


def test_picture_and_map_stand_side_by_side():
    image, _ = draw()
    assert image.width > 2 * 300
    pixels = np.asarray(image)
    assert (pixels == (128, 128, 128)).all(axis=2).sum() >= 300 * 200


@pytest.mark.parametrize(
    "title", ["\udcff\x00\n\u202egpj", "日本語.jpg", "a" * 5000, "", "<script>"]
)
def test_any_file_name_can_be_a_title(title):
    image, _ = draw(title)
    assert image.size == draw("title")[0].size


def test_it_draws_without_a_scalable_font(monkeypatch):
    """Pillow before 10.1, or built without FreeType, has one bitmap font."""
    bitmap = (
        ImageFont.load_default_imagefont() if hasattr(ImageFont, "load_default_imagefont") else None
    )
    bitmap = bitmap or ImageFont.load_default()

    def load_default(size=None):
        if size is not None:
            raise TypeError("load_default() takes 0 positional arguments but 1 was given")
        return bitmap

    monkeypatch.setattr(ImageFont, "load_default", load_default)
    drawing.load_font.cache_clear()
    try:
        image, _ = draw("日本語 title")
    finally:
        drawing.load_font.cache_clear()
    assert (np.asarray(image)[:40] < 100).any()  # there is ink in the title's place
