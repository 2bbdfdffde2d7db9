"""Every kind of picture becomes uint8 RGB on purpose."""

import numpy as np
import pytest
from PIL import Image

from maclip_runtime import PictureError, UsageError
from maclip_runtime.sources.paths import list_pictures
from maclip_runtime.sources.pictures import read_frame
from maclip_runtime.sources.preparation import prepare_frame

RGB = np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8)
GRAY = RGB[..., 0]


def save(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_lossless_formats_keep_every_pixel(tmp_path, suffix):
    assert (read_frame(save(tmp_path / f"a{suffix}", Image.fromarray(RGB))) == RGB).all()


def test_lossless_webp_keeps_every_pixel(tmp_path):
    path = save(tmp_path / "a.webp", Image.fromarray(RGB), lossless=True)
    assert (read_frame(path) == RGB).all()


def test_jpeg_is_decoded_as_pillow_does(tmp_path):
    path = save(tmp_path / "a.jpg", Image.fromarray(RGB), quality=90)
    assert (read_frame(path) == np.asarray(Image.open(path))).all()


def test_gray_is_repeated(tmp_path):
    frame = read_frame(save(tmp_path / "a.png", Image.fromarray(GRAY)))
    assert (frame == GRAY[..., None]).all()
    assert frame.shape == RGB.shape


def test_one_bit_becomes_black_and_white(tmp_path):
    frame = read_frame(save(tmp_path / "a.png", Image.fromarray(GRAY > 127)))
    assert (frame == np.where(GRAY > 127, 255, 0)[..., None]).all()


def test_palette_is_looked_up(tmp_path):
    image = Image.fromarray(RGB).quantize(16)
    frame = read_frame(save(tmp_path / "a.png", image))
    assert (frame == np.asarray(image.convert("RGB"))).all()


def test_animation_gives_its_first_frame(tmp_path):
    first = Image.fromarray(RGB).quantize(16)
    path = tmp_path / "a.gif"
    first.save(path, save_all=True, append_images=[Image.new("P", first.size)])
    assert (read_frame(path) == np.asarray(first.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_on_white(tmp_path, mode):
    image = Image.fromarray(RGB).convert(mode)
    image.putalpha(Image.fromarray((np.arange(60 * 40) % 2 * 255).astype(np.uint8).reshape(40, 60)))
    frame = read_frame(save(tmp_path / "a.png", image))
    opaque = np.asarray(image.getchannel("A")) == 255
    assert (frame[~opaque] == 255).all()
    assert (frame[opaque] == np.asarray(image.convert("RGB"))[opaque]).all()


def test_transparent_palette_entry_is_white(tmp_path):
    image = Image.fromarray(RGB).quantize(4)
    path = save(tmp_path / "a.png", image, transparency=0)
    frame = read_frame(path)
    assert (frame[np.asarray(image) == 0] == 255).all()


def test_cmyk_is_converted_plainly(tmp_path):
    image = Image.fromarray(RGB).convert("CMYK")
    frame = read_frame(save(tmp_path / "a.tif", image))
    assert (frame == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix):
    wide = GRAY.astype(np.uint16) * 257  # 0..65535
    frame = read_frame(save(tmp_path / f"a{suffix}", Image.fromarray(wide)))
    assert (frame == GRAY[..., None]).all()


@pytest.mark.parametrize("values", [np.float32(GRAY) / 255, np.int32(GRAY) * 100_000])
def test_pixels_of_unknown_range_are_refused(tmp_path, values):
    path = save(tmp_path / "a.tif", Image.fromarray(values))
    with pytest.raises(PictureError, match="no known range"):
        read_frame(path)


def test_exif_orientation_is_applied_on_request_only(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    path = save(tmp_path / "a.png", Image.fromarray(RGB), exif=exif)
    assert (read_frame(path) == RGB).all()
    assert (read_frame(path, exif_orientation=True) == np.rot90(RGB, -1)).all()


def test_frames_in_memory_are_taken_as_they_are():
    assert read_frame(RGB) is RGB
    assert (read_frame(Image.fromarray(RGB)) == RGB).all()


@pytest.mark.parametrize("array", [GRAY, RGB / 255, RGB.astype(np.int16), RGB[:0], RGB[..., :2]])
def test_other_arrays_are_refused(array):
    with pytest.raises(PictureError, match=r"uint8 RGB arrays \[H, W, 3\]"):
        read_frame(array)


@pytest.mark.parametrize(("preset", "shape"), [("448", (448, 448, 3)), ("224", (224, 224, 3))])
def test_presets_resize_to_a_square_with_pillows_bicubic(preset, shape):
    prepared = prepare_frame(RGB, preset, 224)
    expected = Image.fromarray(RGB).resize(shape[:2], Image.Resampling.BICUBIC)
    assert (prepared.frame == np.asarray(expected)).all()
    assert (prepared.width, prepared.height, prepared.enlarged) == (60, 40, False)


@pytest.mark.parametrize(
    ("size", "expected"), [((60, 40), (336, 224)), ((223, 500), (224, 502)), ((1, 1), (224, 224))]
)
def test_small_pictures_are_enlarged_until_a_view_fits(size, expected):
    prepared = prepare_frame(np.zeros((size[1], size[0], 3), np.uint8), "native", 224)
    assert prepared.frame.shape == (expected[1], expected[0], 3)
    assert prepared.enlarged
    assert (prepared.width, prepared.height) == size


def test_a_picture_of_one_view_is_not_enlarged():
    assert not prepare_frame(np.zeros((224, 224, 3), np.uint8), "native", 224).enlarged


def test_unknown_preset_is_refused():
    with pytest.raises(UsageError, match="native, 448, 224"):
        prepare_frame(RGB, "512", 224)


def test_pictures_of_a_directory(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png", "deeper/c.webp", ".git/d.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    names = [p.name for p in list_pictures(tmp_path, recursive=False)]
    assert names == ["a.png", "b.JPG"]
    names = [p.name for p in list_pictures(tmp_path, recursive=True)]
    assert names == ["a.png", "b.JPG", "c.webp"]
