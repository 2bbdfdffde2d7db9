"""Frames that are on a GPU already, over a fake one whose memory is the host's."""

import weakref

import numpy as np
import pytest
from fake_gpu import FakeCudart

from maclip_runtime import FrameError, PictureError, Scorer, Stream
from maclip_runtime.device_frames import take_device_frame
from maclip_runtime.engines import select
from reference.make_images import picture

TOLERANCE = 1e-5  # see test_tensorrt_engine


class ByInterface:
    """An array that says where it is as CuPy, torch and Numba do."""

    def __init__(self, pixels, stream=None, **entries):
        self.pixels = pixels
        self.__cuda_array_interface__ = {
            "shape": pixels.shape,
            "typestr": pixels.dtype.str,
            "data": (pixels.ctypes.data, False),
            "strides": None if pixels.flags.c_contiguous else pixels.strides,
            "stream": stream,
            "version": 3,
            **entries,
        }


class ByCapsule:
    """An array that hands over a DLPack capsule: NumPy's own, said to be a GPU's."""

    def __init__(self, pixels, device=0):
        self.pixels, self.shape, self.device = pixels, pixels.shape, device
        self.streams = []

    def __dlpack_device__(self):
        return 2, self.device

    def __dlpack__(self, *, stream=None):
        self.streams.append(stream)
        return self.pixels.__dlpack__()


KINDS = [ByInterface, ByCapsule]


def draw(height=480, width=640):
    return picture(np.random.RandomState(3), width, height)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_the_features_are_those_of_the_frame_on_the_host_and_it_is_not_uploaded(
    open_fake, host, kind
):
    engine, cudart = open_fake()
    frame = draw()
    for _ in range(6):  # a CUDA graph, too
        found = engine.submit(take_device_frame(kind(frame))).result()
        assert found == pytest.approx(host.encode(frame), abs=TOLERANCE)
    assert cudart.launches == 2
    assert cudart.copied_within == 6 * frame.nbytes
    assert cudart.copied < frame.nbytes  # indices and features


def test_rows_may_be_padded_as_decoders_leave_them(open_fake, host, kind):
    engine, _ = open_fake()
    frame = draw()
    padded = np.zeros((480, 704, 3), np.uint8)
    padded[:, :640] = frame
    found = engine.submit(take_device_frame(kind(padded[:, :640]))).result()
    assert found == pytest.approx(host.encode(frame), abs=TOLERANCE)


def test_an_integrated_gpu_takes_them_too(open_fake, host, kind):
    engine, _ = open_fake(cudart=FakeCudart(integrated=True))
    frame = draw()
    found = engine.submit(take_device_frame(kind(frame))).result()
    assert found == pytest.approx(host.encode(frame), abs=TOLERANCE)


def test_what_the_producer_does_comes_first(open_fake):
    engine, cudart = open_fake()
    engine.encode(take_device_frame(ByInterface(draw(), stream=77)))
    recorded = [(event, stream) for event, stream in cudart.recorded if stream == 77]
    ((event, _),) = recorded
    assert (engine._copy, event) in cudart.waits
    array = ByCapsule(draw())
    engine.encode(take_device_frame(array))
    assert array.streams == [engine._copy]  # on which DLPack's producers order their work


def test_the_array_lives_until_its_frame_is_done_and_no_longer(open_fake, kind):
    engine, _ = open_fake()
    array = kind(draw())
    alive = weakref.ref(array)
    pending = engine.submit(take_device_frame(array))
    del array
    assert alive() is not None
    pending.result()
    assert alive() is None


def test_a_frame_on_another_gpu_is_refused(open_fake):
    engine, _ = open_fake()
    with pytest.raises(FrameError, match="on GPU 1, and the plan runs on 0; use device=1"):
        engine.submit(take_device_frame(ByCapsule(draw(), device=1)))


@pytest.mark.parametrize("graph", ["image_encoder.fp32.onnx", None])
def test_engines_that_cut_views_on_the_host_say_what_to_do(open_fake, host, kind, graph):
    engine = host if graph is None else open_fake(graph)[0]
    with pytest.raises(FrameError, match="takes frames in the host's memory.*copy it to the host"):
        engine.submit(take_device_frame(kind(draw())))


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((300, 300), np.uint8), "of this shape"),
        (np.zeros((3, 300, 300), np.uint8), "of this shape"),
        (np.zeros((300, 300, 3), np.float32), "of another type|of the type <f4"),
        (np.zeros((300, 300, 4), np.uint8)[..., :3], r"with strides \(1200, 4, 1\)"),
        (np.zeros((300, 300, 3), np.uint8)[::-1], r"with strides \(-900, 3, 1\)"),
    ],
)
def test_what_is_no_frame_is_refused(kind, pixels, reason):
    with pytest.raises(PictureError, match=reason):
        take_device_frame(kind(pixels)).locate(1)


def test_a_scorer_scores_them_one_by_one_and_ahead(open_fake, plans_bundle, monkeypatch, kind):
    engine, cudart = open_fake()
    frames = [draw(), draw(300, 300), draw()]
    expected = [Scorer(plans_bundle).score(frame).score for frame in frames]
    monkeypatch.setattr(select, "open_candidate", lambda *arguments, **settings: engine)
    scorer = Scorer(plans_bundle)
    assert [scorer.score(kind(frame)).score for frame in frames] == pytest.approx(
        expected, abs=1e-5
    )
    results = list(scorer.score_many(kind(frame) for frame in frames))
    assert [result.score for result in results] == pytest.approx(expected, abs=1e-5)
    assert results[0].path == "<array (480, 640, 3) on the GPU>"
    assert (results[1].width, results[1].height) == (300, 300)
    assert cudart.copied_within == 4 * frames[0].nbytes + 2 * frames[1].nbytes


def test_what_needs_the_pixels_on_the_host_says_so(kind):
    scorer = Scorer("demo")
    with pytest.raises(PictureError, match="not resized: .* at least 224 x 224; resize it there"):
        scorer.score(kind(draw(100, 300)))
    with pytest.raises(PictureError, match="not resized"):
        Scorer("demo", preset="448").score(kind(draw()))
    with (
        Stream(scorer) as stream,
        pytest.raises(PictureError, match="finds what has changed on the host; copy"),
    ):
        stream.push(kind(draw()), 0.0)
