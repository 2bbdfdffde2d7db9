"""A folder of pictures, read as a sequence."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from footage import index_of, picture_of, read_all
from maclip_runtime.errors import SourceError
from maclip_runtime.sources.select import open_source


@pytest.fixture
def folder(tmp_path):
    for index in range(12):
        Image.fromarray(picture_of(index)).save(tmp_path / f"frame_{index:03}.png")
    return tmp_path


def test_pictures_are_frames_in_the_order_of_their_names(folder):
    source = open_source(str(folder), frame_rate=4)
    frames, notices = read_all(source)
    assert not source.live
    assert source.frame_rate == 4
    assert notices == []
    assert [index_of(frame.pixels) for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == [index / 4 for index in range(12)]
    assert all(frame.pixels.flags.c_contiguous for frame in frames)


def test_a_broken_picture_is_said_and_keeps_its_time(folder):
    (folder / "frame_004.png").write_bytes(b"broken")
    (folder / "frame_007.png").write_bytes(b"")
    frames, notices = read_all(open_source(str(folder), frame_rate=10))
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 5, 6, 8, 9, 10, 11]
    assert frames[4].time == 0.5
    assert [notice.kind for notice in notices] == ["damaged", "damaged"]
    assert notices[0].message.startswith("frame_004.png: ")
    assert notices[1].message.startswith("frame_007.png: ")


def test_pictures_of_another_size_are_frames_of_another_size(folder):
    Image.fromarray(picture_of(6, 400, 300)).save(folder / "frame_006.png")
    frames, (notice,) = read_all(open_source(str(folder)))
    assert frames[6].pixels.shape == (300, 400, 3)
    assert frames[7].pixels.shape == (240, 320, 3)
    assert notice.kind == "size"
    assert notice.message == "400 x 300 from frame 6 on, 320 x 240 before"


def test_a_folder_without_pictures_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("none here")
    with pytest.raises(SourceError, match="no pictures in this folder"):
        open_source(str(tmp_path))


def test_closing_ends_the_sequence(folder):
    source = open_source(str(folder))
    items = iter(source)
    np.testing.assert_array_equal(next(items).pixels, picture_of(0))
    source.close()
    assert list(items) == []
