"""The TensorRT engine's bookkeeping, over a fake GPU that runs the frame graph in ONNX Runtime."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeCudart, make_fake_tensorrt

from maclip_runtime import EngineError, open_bundle
from maclip_runtime.engines.cuda import Cuda
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from maclip_runtime.engines.tensorrt import TensorRtEngine
from reference.make_images import picture

FRAMES = ((224, 224, 3), (480, 640, 3), (600, 900, 3))
ANY, STATIC = "frame.any.fp32.onnx", "frame.480x640.fp32.onnx"
# The fake runs in chunks of other sizes than the host path; see test_scorer for the tolerance.
TOLERANCE = 1e-5


@pytest.fixture
def bundle(rn_small_bundle):
    return open_bundle(rn_small_bundle)


@pytest.fixture
def open_fake(bundle):
    opened = []

    def open_engine(graph=ANY, chunk=7, library="tensorrt"):
        cudart = FakeCudart()
        profile = {"frame": FRAMES, "views": ((1,), (4,), (chunk,))}
        engine = TensorRtEngine(
            (bundle.path / graph).read_bytes(),
            library,
            bundle.manifest.method.views,
            precision="fp32",
            rebuild="maclip build B --engine tensorrt",
            trt=make_fake_tensorrt(cudart, profile),
            cuda=Cuda(cudart),
        )
        opened.append((engine, cudart))
        return engine, cudart

    yield open_engine
    for engine, cudart in opened:
        engine.close()
        assert not cudart.live  # everything was given back


def draw(*sizes):
    rng = np.random.RandomState(3)
    return [picture(rng, width, height) for height, width in sizes]


def test_features_equal_the_host_path_at_every_size(bundle, open_fake):
    engine, _ = open_fake()
    host = OnnxRuntimeEngine(bundle)
    frames = draw((224, 224), (480, 640), (480, 640), (600, 900), (225, 900), (480, 640))
    for frame in frames:
        assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=TOLERANCE)


@pytest.mark.parametrize("chunk", [1, 5, 13, 64])
def test_views_run_in_chunks_that_the_profile_takes(bundle, open_fake, chunk):
    engine, _ = open_fake(chunk=chunk)
    (frame,) = draw((480, 640))  # 13 views
    expected = OnnxRuntimeEngine(bundle).encode(frame)
    assert engine.encode(frame) == pytest.approx(expected, abs=TOLERANCE)


def test_a_stream_keeps_its_order_and_replays_cuda_graphs(bundle, open_fake):
    engine, cudart = open_fake()
    frames = draw(*[(480, 640)] * 6, (224, 224), *[(480, 640)] * 2)
    host = OnnxRuntimeEngine(bundle)
    for frame, features in zip(frames, engine.encode_many(iter(frames)), strict=True):
        assert features == pytest.approx(host.encode(frame), abs=TOLERANCE)
    assert cudart.launches == 4  # of the six alike, all but the first in each of the two slots


def test_a_static_graph_takes_its_size_and_no_other(bundle, open_fake):
    engine, _ = open_fake(STATIC)
    (frame,) = draw((480, 640))
    expected = OnnxRuntimeEngine(bundle).encode(frame)
    assert engine.encode(frame) == pytest.approx(expected, abs=TOLERANCE)
    with pytest.raises(EngineError, match="480 x 640 to 480 x 640, and this one is 480 x 641"):
        engine.encode(np.zeros((480, 641, 3), np.uint8))
    assert engine.encode(frame) == pytest.approx(expected, abs=TOLERANCE)


def test_tensorrt_rtx_gets_final_kernels_and_its_memory_from_us(bundle, open_fake):
    """What a captured CUDA graph needs of it."""
    engine, _ = open_fake(library="tensorrt-rtx")
    context = engine._context
    assert context.config.dynamic_shapes_kernel_specialization_strategy == "eager"
    assert (context.config.allocation, context.memory) == ("user", 1000)
    (frame,) = draw((480, 640))
    expected = OnnxRuntimeEngine(bundle).encode(frame)
    assert engine.encode(frame) == pytest.approx(expected, abs=TOLERANCE)


def test_memory_is_taken_once(open_fake):
    engine, cudart = open_fake()
    before = cudart.allocations
    for frame in draw((600, 900), (224, 224), (480, 640)):
        engine.encode(frame)
    assert cudart.allocations == before


def test_a_frame_beyond_the_profile_is_refused_with_the_command_that_helps(open_fake):
    engine, _ = open_fake()
    for _ in range(3):  # and costs no slot
        with pytest.raises(EngineError, match="maclip build B --engine tensorrt --frames"):
            engine.encode(np.zeros((700, 900, 3), np.uint8))
    assert len(engine.encode(np.zeros((224, 224, 3), np.uint8))) == 2


def test_a_stream_that_is_left_gives_its_slots_back(open_fake):
    engine, _ = open_fake()
    for _ in range(5):
        stream = engine.encode_many(iter(draw(*[(224, 224)] * 4)))
        next(stream)
        stream.close()
    assert len(engine.encode(np.zeros((224, 224, 3), np.uint8))) == 2


def test_several_threads_take_turns(bundle, open_fake):
    engine, _ = open_fake()
    frames = draw((224, 224), (480, 640), (225, 900), (300, 300))
    expected = [OnnxRuntimeEngine(bundle).encode(frame) for frame in frames]

    def stream(_):
        return list(engine.encode_many(iter(frames)))

    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(stream, range(8)):
            for result, wanted in zip(results, expected, strict=True):
                assert result == pytest.approx(wanted, abs=TOLERANCE)


def test_a_plan_that_does_not_load_is_refused_with_the_reason(bundle):
    cudart = FakeCudart()
    with pytest.raises(EngineError, match="not a plan.*rebuild it: maclip build B"):
        TensorRtEngine(
            b"junk",
            "tensorrt",
            bundle.manifest.method.views,
            precision="fp32",
            rebuild="maclip build B",
            trt=make_fake_tensorrt(cudart, {}),
            cuda=Cuda(cudart),
        )
