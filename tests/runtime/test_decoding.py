"""Decoding is a boundary: whatever a picture does to its decoder is that picture's error alone."""

import io
import os
import struct

import numpy as np
import pytest
from PIL import Image, ImageFile

from maclip_runtime import PictureError, Scorer
from maclip_runtime.sources import pictures
from maclip_runtime.sources.pictures import read_frame

RGB = np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8)


def encode(image, format="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def write_tiff(entries):
    """A little-endian TIFF of one directory with these (tag, type, count, value) entries."""
    body = b"".join(
        struct.pack("<HHI4s", tag, kind, count, value) for tag, kind, count, value in entries
    )
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", 0) + bytes(64)


def test_bytes_and_open_files_are_pictures(tmp_path):
    data = encode(Image.fromarray(RGB))
    assert (read_frame(data) == RGB).all()
    assert (read_frame(io.BytesIO(data)) == RGB).all()
    (tmp_path / "a.png").write_bytes(data)
    with (tmp_path / "a.png").open("rb") as stream:
        assert (read_frame(stream) == RGB).all()
    with Scorer("demo") as scorer:
        scores = [r.score for r in scorer.score_many([data, io.BytesIO(data), tmp_path / "a.png"])]
    assert len(set(scores)) == 1


@pytest.mark.parametrize("data", [b"", b"no picture", encode(Image.fromarray(RGB))[:200]])
def test_bytes_that_are_no_picture_are_one_line(data):
    with pytest.raises(PictureError, match=rf"<{len(data)} bytes>: ") as caught:
        read_frame(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error", [TypeError("a"), struct.error("b"), MemoryError(), ZeroDivisionError("c"), Exception()]
)
def test_whatever_a_decoder_raises_is_the_pictures_error(error, monkeypatch):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    good_after = [encode(Image.fromarray(RGB)), np.zeros((224, 224, 3), np.uint8)]
    with Scorer("demo") as scorer:
        failed, scored = scorer.score_many(good_after)
    assert isinstance(failed, PictureError)
    assert scored.views == 2


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_interruptions_are_no_picture_errors(interruption, monkeypatch):
    def stop(*arguments):
        raise interruption

    monkeypatch.setattr(pictures, "_to_rgb", stop)
    with pytest.raises(interruption):
        read_frame(encode(Image.fromarray(RGB)))


def test_a_tiff_whose_offsets_are_fractions_is_one_line():
    """Pillow raises TypeError for it."""
    short = lambda value: struct.pack("<HH", value, 0)  # noqa: E731
    data = write_tiff(
        [
            (256, 3, 1, short(1)), (257, 3, 1, short(1)), (258, 3, 1, short(8)), (259, 3, 1, short(1)),
            (262, 3, 1, short(1)), (273, 5, 1, struct.pack("<I", 8)), (279, 3, 1, short(1)),
        ]
    )  # fmt: skip
    with pytest.raises(PictureError):
        read_frame(data)


def open_closed():
    image = Image.open(io.BytesIO(encode(Image.fromarray(RGB))))
    image.close()
    return image


def open_truncated():
    data = encode(Image.fromarray(np.tile(RGB, (8, 8, 1))), "JPEG")
    return Image.open(io.BytesIO(data[: len(data) // 2]))


@pytest.mark.parametrize(
    "make",
    [
        open_closed,
        open_truncated,
        lambda: Image.new("RGB", (0, 0)),
        lambda: Image.new("La", (40, 40)),  # which Pillow itself cannot convert
    ],
    ids=["closed", "truncated", "empty", "La"],
)
def test_pil_images_that_cannot_be_converted_are_one_line(make):
    with pytest.raises(PictureError) as caught:
        read_frame(make())
    assert "\n" not in str(caught.value)


def test_a_tiff_of_32_bit_integers_is_refused_whatever_it_holds(tmp_path):
    for values in ((0, 1000), (0, 255)):
        path = tmp_path / "depth.tif"
        Image.fromarray(np.full((40, 60), values[1], np.int32)).save(path)
        with pytest.raises(PictureError, match="32 bits have no known range"):
            read_frame(path)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path, "/dev/zero"):
        with pytest.raises(PictureError, match="not a regular file"):
            read_frame(path)


@pytest.mark.parametrize("path", ["a" * 300 + ".png", "nul\0.png", "sur\udcff.png", "a/" * 3000])
def test_paths_that_cannot_be_are_one_line(path):
    with pytest.raises(PictureError) as caught:
        read_frame(path)
    assert "\n" not in str(caught.value)
