"""What a scorer may ask of any engine, asked of every one that runs here."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fake_gpu import FakeCudart

from conftest import get_file
from maclip_runtime import EngineError, FrameError, UsageError
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from reference.make_images import picture

# Frames that nothing divides evenly, one view, a row (two blocks in dense mode), a column, a grid.
SIZES = [(224, 224), (225, 1152), (599, 226), (351, 352), (480, 640), (593, 897)]
# Largest difference to the float32 encoder, over its largest feature. Engines run in portions of other
# sizes, and a matrix product rounds by its height: measured 1e-6 in float32.
TOLERANCE = {"fp32": 1e-5, "fp16": 5e-3}

CPU = {
    "cpu, float32": ("image_encoder.fp32.onnx", "exact"),
    "cpu, half": ("image_encoder.fp16.onnx", "exact"),
    "cpu, dense": ("image_encoder.fp32.onnx", "dense"),
    "cpu, frame graph in chunks": ("frame.any.fp32.onnx", "exact"),
    "cpu, half frame graph in chunks": ("frame.any.fp16.onnx", "exact"),
    "cpu, dense frame graph": ("dense.any.fp32.onnx", "dense"),
}
FAKE = {
    "tensorrt, chunks": ("frame.any.fp32.onnx", "tensorrt"),
    "tensorrt, half in chunks": ("frame.any.fp16.onnx", "tensorrt"),
    "tensorrt, dense": ("dense.any.fp32.onnx", "tensorrt"),
    "tensorrt-rtx, chunks": ("frame.any.fp32.onnx", "tensorrt-rtx"),
    "tensorrt-rtx, half dense": ("dense.any.fp16.onnx", "tensorrt-rtx"),
    "tensorrt, views in batches": ("image_encoder.fp32.onnx", "tensorrt"),
    "tensorrt-rtx, half views in batches": ("image_encoder.fp16.onnx", "tensorrt-rtx"),
    "tensorrt over libcudart, chunks": ("frame.any.fp32.onnx", "tensorrt"),
    "tensorrt on an integrated GPU, chunks": ("frame.any.fp32.onnx", "tensorrt"),
}


@pytest.fixture(params=[*CPU, *FAKE])
def engine(request, small_bundle, open_fake):
    if request.param in FAKE:
        graph, library = FAKE[request.param]
        cudart = FakeCudart(integrated="integrated" in request.param)
        over_ctypes = "libcudart" in request.param
        yield open_fake(graph, library=library, cudart=cudart, over_ctypes=over_ctypes)[0]
        return
    graph, view_mode = CPU[request.param]
    opened = OnnxRuntimeEngine(
        small_bundle, get_file(small_bundle, graph), view_mode=view_mode, micro_batch=5
    )
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def expect(small_bundle):
    """The features of a frame by the float32 encoder, in the engine's view mode."""
    encoder = get_file(small_bundle, "image_encoder.fp32.onnx")
    references = {
        mode: OnnxRuntimeEngine(small_bundle, encoder, view_mode=mode)
        for mode in ("exact", "dense")
    }
    known = {}  # the same frames go through every engine

    def expect_features(engine, frame):
        key = (engine.view_mode, frame.shape, frame.tobytes())
        if key not in known:
            known[key] = references[engine.view_mode].encode(frame)
        return known[key]

    return expect_features


def draw(*sizes):
    rng = np.random.RandomState(3)
    return [picture(rng, width, height) for height, width in sizes]


def assert_near(engine, features, expected):
    assert features.shape == expected.shape
    assert features.dtype == np.float32
    difference = np.abs(features - expected).max() / np.abs(expected).max()
    assert difference <= TOLERANCE[engine.precision]


def test_every_awkward_size_gives_the_features_of_all_its_views(engine, expect):
    for frame in draw(*SIZES):
        assert_near(engine, engine.encode(frame), expect(engine, frame))


def test_some_views_are_those_of_all_in_the_order_asked_for(engine, expect):
    (frame,) = draw((480, 640))  # 3 x 4 windows and the global view
    whole = expect(engine, frame)
    for views in ([12], [0], [5, 6, 7], [12, 3, 0, 11], [4, 4], list(range(13))):
        assert_near(engine, engine.encode(frame, views), whole[views])


def test_views_that_a_frame_does_not_have_are_refused(engine):
    (frame,) = draw((224, 224))
    for views in ([2], [-1], [0, 99]):
        with pytest.raises(UsageError, match="not all in 0 to 1"):
            engine.submit(frame, views)


def test_results_belong_to_their_frames_in_whatever_order_they_are_asked_for(engine, expect):
    frames = draw((224, 224), (480, 640), (480, 640), (300, 300), (480, 640))
    pending = [engine.submit(frame) for frame in frames]
    for place in (3, 0, 4, 1, 2):
        assert_near(engine, pending[place].result(), expect(engine, frames[place]))
        assert pending[place].done()
    again = pending[0].result()
    assert_near(engine, again, expect(engine, frames[0]))


def test_a_frame_is_worked_on_without_anybody_waiting(engine, expect):
    """Frame in, score out: no later frame is needed to push it."""
    (frame,) = draw((480, 640))
    pending = engine.submit(frame)
    assert_near(engine, pending.result(), expect(engine, frame))
    assert pending.time.pixels > 0
    assert all(seconds >= 0 for seconds in pending.time.stages.values())
    assert "encode" in pending.time.stages


def test_a_frame_that_cannot_be_taken_costs_no_other(engine, expect):
    (good,) = draw((300, 300))
    before = engine.submit(good)
    for _ in range(3):
        with pytest.raises(FrameError, match="smaller than a view"):
            engine.submit(np.zeros((223, 300, 3), np.uint8))
    after = engine.submit(good)
    for pending in (before, after):
        assert_near(engine, pending.result(), expect(engine, good))


def test_frames_of_any_memory_layout_are_taken(engine, expect):
    (frame,) = draw((300, 400))
    bgr = np.ascontiguousarray(frame[..., ::-1])
    for view in (bgr[..., ::-1], np.asfortranarray(frame), np.pad(frame, 9)[9:-9, 9:-9, 9:-9]):
        assert not view.flags.c_contiguous
        assert_near(engine, engine.encode(view), expect(engine, frame))


def test_several_threads_take_turns(engine, expect):
    frames = draw((224, 224), (480, 640), (225, 900), (300, 300))
    expected = [expect(engine, frame) for frame in frames]

    def stream(_):
        return [engine.encode(frame) for frame in frames]

    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(stream, range(4)):
            for features, wanted in zip(results, expected, strict=True):
                assert_near(engine, features, wanted)


def test_closing_finishes_what_is_under_way_and_takes_nothing_more(engine, expect):
    frames = draw((480, 640), (300, 300), (480, 640))
    pending = [engine.submit(frame) for frame in frames]
    engine.close()
    for frame, wait in zip(frames, pending, strict=True):
        assert_near(engine, wait.result(), expect(engine, frame))
    with pytest.raises(EngineError, match="is closed"):
        engine.submit(frames[0])
    engine.close()  # again is no error


def test_closing_from_another_thread_loses_nothing_that_was_submitted(engine, expect):
    (frame,) = draw((480, 640))
    expected = expect(engine, frame)
    results = []
    started = threading.Event()

    def work():
        try:
            while True:
                results.append(engine.encode(frame))
                started.set()
        except EngineError as error:
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    engine.close()
    thread.join()
    *features, last = results
    assert "is closed" in str(last)
    for found in features:
        assert_near(engine, found, expected)
