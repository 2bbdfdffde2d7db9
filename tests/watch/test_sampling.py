"""Which frames are wanted, and that the others are not converted."""

from __future__ import annotations

import pytest

from maclip_runtime import UsageError
from maclip_runtime.sources.sampling import Sampling
from maclip_runtime.sources.select import open_source
from maclip_runtime.sources.source import SourceFrame
from maclip_runtime.sources.video_frame import FrameConverter


def wanted(sampling, times):
    return [index for index, time in enumerate(times) if sampling.wants(index, time)]


def test_each_third_frame():
    assert wanted(Sampling(every=3), [index / 25 for index in range(10)]) == [0, 3, 6, 9]


def test_so_many_frames_a_second():
    assert wanted(Sampling(rate=5), [index / 25 for index in range(26)]) == [0, 5, 10, 15, 20, 25]


def test_a_rate_that_does_not_divide_the_sources_is_kept_on_average():
    assert len(wanted(Sampling(rate=7), [index / 30 for index in range(3000)])) == 700


def test_a_slower_source_is_wanted_whole():
    assert wanted(Sampling(rate=10), [0.0, 1.0, 5.0, 5.5]) == [0, 1, 2, 3]


def test_a_camera_that_came_back_begins_anew():
    sampling = Sampling(rate=1)
    assert wanted(sampling, [0.0, 0.5, 1.0]) == [0, 2]
    assert wanted(sampling, [0.0, 0.5, 1.0]) == [0, 2]


@pytest.mark.parametrize("settings", [{"every": 0}, {"rate": 0}, {"rate": float("nan")}])
def test_what_cannot_be_is_refused(settings):
    with pytest.raises(UsageError):
        Sampling(**settings)


def test_frames_that_are_left_out_are_not_converted(video, monkeypatch):
    converted = []
    convert = FrameConverter.convert
    monkeypatch.setattr(
        FrameConverter, "convert", lambda self, frame: converted.append(1) or convert(self, frame)
    )
    source = open_source(str(video("a.mp4")), sampling=Sampling(every=10))
    frames = [item for item in source if isinstance(item, SourceFrame)]
    assert [frame.index for frame in frames] == [0, 10, 20]
    assert [round(25 * frame.time) for frame in frames] == [0, 10, 20]
    assert len(converted) == 3
