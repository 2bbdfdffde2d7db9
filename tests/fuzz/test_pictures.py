"""Whatever a picture's bytes are, it becomes a frame or a PictureError of one line.

`MACLIP_FUZZ_EXAMPLES` sets how many examples each test tries.
"""

import io
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from maclip_runtime import PictureError
from maclip_runtime.sources.pictures import FORMATS, read_frame

EXAMPLES = int(os.environ.get("MACLIP_FUZZ_EXAMPLES", "400"))
fuzz = settings(
    max_examples=EXAMPLES,
    derandomize="MACLIP_FUZZ_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
pytestmark = pytest.mark.filterwarnings("ignore")

MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr", "I", "I;16", "F"),
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("L", "P"),
    "PPM": ("1", "L", "RGB", "I;16"),
}
EXIF_TYPES = (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12)


def make_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    exif[0x8769] = {0x9003: "2026:01:01 00:00:00"}
    stored = Image.Exif()
    stored.load(exif.tobytes())
    return stored


def make_seeds():
    """Small pictures of every format and mode, with EXIF where the format has it."""
    rng = np.random.default_rng(5)
    colour = Image.fromarray(rng.integers(0, 256, (23, 37, 3), np.uint8))
    for format in FORMATS:
        for mode in MODES[format]:
            if mode == "LAB":
                image = Image.frombytes("LAB", colour.size, colour.tobytes())
            elif mode == "I;16":
                image = Image.fromarray(rng.integers(0, 65536, (23, 37), np.uint16))
            else:
                image = colour.convert(mode)
            kinds = [{}]
            if format == "JPEG":
                kinds += [{"progressive": True}, {"exif": make_exif(6)}]
            elif format in ("PNG", "WEBP"):
                kinds += [{"exif": make_exif(5)}, {"save_all": True, "append_images": [image]}]
            elif format == "GIF":
                kinds += [{"transparency": 0}, {"save_all": True, "append_images": [image]}]
            elif format == "TIFF":
                kinds += [
                    {"compression": name} for name in ("tiff_lzw", "tiff_deflate", "packbits")
                ]
                kinds += [{"exif": make_exif(8)}]
            for options in kinds:
                stream = io.BytesIO()
                image.save(stream, format, **options)
                yield stream.getvalue()


SEEDS = list(make_seeds())
TIFFS = [seed for seed in SEEDS if seed[:4] in (b"II*\0", b"MM\0*")]
WITH_EXIF = [seed for seed in SEEDS if b"2026:01:01" in seed]


def check(data, exif_orientation):
    """As bytes and as a PIL image: only a frame, or an error of one line."""
    check_picture(data, exif_orientation)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception:  # noqa: BLE001  Pillow's own refusal, before we have the image
        return
    check_picture(image, exif_orientation)


def check_picture(picture, exif_orientation):
    try:
        frame = read_frame(picture, exif_orientation=exif_orientation)
    except PictureError as error:
        message = str(error)
        if len(message.splitlines()) != 1:
            pytest.fail(f"not one line: {message!r}")
    else:
        assert frame.dtype == np.uint8
        assert frame.ndim == 3
        assert frame.shape[2] == 3
        assert frame.size


@pytest.mark.parametrize("index", range(len(SEEDS)))
def test_the_seeds_are_pictures(index):
    """Or the mutations would try nothing but refusals."""
    with Image.open(io.BytesIO(SEEDS[index])) as image:
        unknown = image.mode == "F" or (image.format == "TIFF" and image.mode == "I")
    if unknown:
        with pytest.raises(PictureError, match="32 bits"):
            read_frame(SEEDS[index])
    else:
        assert read_frame(SEEDS[index], exif_orientation=True).size == 23 * 37 * 3


FLIPS = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=12)


def flip(data, flips, within=None):
    changed = bytearray(data)
    for place, value in flips:
        changed[place % min(within or len(changed), len(changed))] = value
    return bytes(changed)


@fuzz
@given(st.sampled_from(SEEDS), FLIPS, st.booleans())
def test_changed_bytes(data, flips, exif_orientation):
    check(flip(data, flips), exif_orientation)


@fuzz
@given(st.sampled_from(SEEDS), FLIPS, st.booleans())
def test_changed_headers(data, flips, exif_orientation):
    check(flip(data, flips, within=64), exif_orientation)


@fuzz
@given(st.sampled_from(SEEDS), st.integers(0, 1 << 16), st.booleans())
def test_truncations(data, end, exif_orientation):
    check(data[: end % len(data)], exif_orientation)


@fuzz
@given(st.sampled_from(SEEDS), st.sampled_from(SEEDS), st.integers(0, 200), st.integers(0, 200))
def test_one_pictures_header_before_anothers_data(first, second, end, start):
    check(first[:end] + second[start:], True)


@fuzz
@given(st.binary(max_size=300), st.sampled_from([seed[:16] for seed in SEEDS]))
def test_any_bytes_after_a_signature(data, signature):
    check(signature + data, True)


def change_entry(data, directory, number, kind, count, value):
    """A TIFF structure with one entry of its first directory replaced; `directory` is where it begins."""
    order = "little" if data[directory : directory + 2] == b"II" else "big"
    first = directory + int.from_bytes(data[directory + 4 : directory + 8], order)
    entries = int.from_bytes(data[first : first + 2], order)
    place = first + 2 + 12 * (number % max(entries, 1))
    fields = kind.to_bytes(2, order) + count.to_bytes(4, order) + value.to_bytes(4, order)
    return data[: place + 2] + fields + data[place + 12 :]


COUNTS = st.one_of(st.integers(0, 8), st.sampled_from([255, 65535, 1 << 24, (1 << 32) - 1]))
VALUES = st.one_of(st.integers(0, 300), st.integers(0, (1 << 32) - 1))


@fuzz
@given(st.sampled_from(TIFFS), st.integers(0, 20), st.sampled_from(EXIF_TYPES), COUNTS, VALUES)
@example(TIFFS[0], 5, 5, 1, 8)  # offsets of strips as fractions: Pillow's TypeError
def test_changed_tags_of_a_tiff(data, number, kind, count, value):
    check(change_entry(data, 0, number, kind, count, value), True)


@fuzz
@given(st.sampled_from(WITH_EXIF), st.integers(0, 20), st.sampled_from(EXIF_TYPES), COUNTS, VALUES)
@example(WITH_EXIF[0], 0, 3, 2, 0)
def test_changed_exif(data, number, kind, count, value):
    start = max(data.find(b"II*\0"), data.find(b"MM\0*"))
    check(change_entry(data, start, number, kind, count, value), True)


@fuzz
@given(st.sampled_from(WITH_EXIF), FLIPS)
def test_changed_bytes_of_exif(data, flips):
    start = max(data.find(b"II*\0"), data.find(b"MM\0*"))
    check(data[:start] + flip(data[start:], flips, within=220), True)
