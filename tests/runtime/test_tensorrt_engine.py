"""The TensorRT engine's bookkeeping, over a fake GPU that runs the frame graph in ONNX Runtime.

What every engine must do is in test_engine_contract.
"""

from dataclasses import replace

import numpy as np
import pytest
from fake_gpu import FakeCudart, make_fake_tensorrt

from conftest import get_file
from maclip_runtime import EngineError, FrameError
from maclip_runtime.bundle.manifest import PlanOrigin
from maclip_runtime.engines.cuda import Cuda
from maclip_runtime.engines.select import rebuild
from maclip_runtime.engines.tensorrt import TensorRtEngine
from reference.make_images import picture

STATIC = "frame.480x640.fp32.onnx"
# The fake runs in chunks of other sizes than the host path; see test_scorer for the tolerance.
TOLERANCE = 1e-5


def draw(*sizes):
    rng = np.random.RandomState(3)
    return [picture(rng, width, height) for height, width in sizes]


@pytest.mark.parametrize("chunk", [1, 5, 13, 64])
def test_views_run_in_chunks_that_the_profile_takes(host, open_fake, chunk):
    engine, _ = open_fake(chunk=chunk)
    (frame,) = draw((480, 640))  # 13 views
    assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=TOLERANCE)


def test_cuda_graphs_are_captured_from_the_third_frame_of_a_shape_on_and_replayed(host, open_fake):
    engine, cudart = open_fake()
    frames = draw(*[(480, 640)] * 8, (224, 224), *[(480, 640)] * 2)
    for frame in frames:
        assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=TOLERANCE)
    assert cudart.launches == 4  # of the eight alike, the last four: two ran, two were captured


def test_alternating_shapes_leave_no_graph_behind(open_fake):
    engine, cudart = open_fake()
    for _ in range(10):
        for frame in draw((480, 640), (224, 224)):
            engine.encode(frame)
    assert len(cudart.live_graphs) <= 2


def test_a_capture_that_fails_costs_no_frame_and_is_not_tried_again(host, open_fake):
    engine, cudart = open_fake()
    cudart.captures_fail = True
    for frame in draw(*[(480, 640)] * 6):
        assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=TOLERANCE)
    assert (cudart.launches, cudart.captures) == (0, 1)


def test_a_static_graph_takes_its_size_and_no_other(host, open_fake):
    engine, _ = open_fake(STATIC)
    (frame,) = draw((480, 640))
    expected = host.encode(frame)
    assert engine.encode(frame) == pytest.approx(expected, abs=TOLERANCE)
    assert engine.encode(frame, [12, 1]) == pytest.approx(expected[[12, 1]], abs=TOLERANCE)
    with pytest.raises(FrameError, match="480 x 640 to 480 x 640, and this one is 480 x 641"):
        engine.encode(np.zeros((480, 641, 3), np.uint8))
    assert engine.encode(frame) == pytest.approx(expected, abs=TOLERANCE)


def test_tensorrt_rtx_gets_final_kernels_and_its_memory_from_us(host, open_fake):
    """What a captured CUDA graph needs of it."""
    engine, cudart = open_fake(library="tensorrt-rtx")
    (context,) = cudart.contexts
    assert context.config.dynamic_shapes_kernel_specialization_strategy == "eager"
    assert (context.config.allocation, context.memory) == ("user", 1000)
    (frame,) = draw((480, 640))
    assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=TOLERANCE)


def test_memory_is_taken_once(open_fake):
    engine, cudart = open_fake()
    before = cudart.allocations
    for frame in draw((600, 900), (224, 224), (480, 640)):
        engine.encode(frame)
    assert cudart.allocations == before


def test_a_frame_beyond_the_profile_is_refused_with_what_helps(open_fake):
    engine, _ = open_fake()
    for _ in range(3):  # and costs no slot
        with pytest.raises(FrameError, match=r"maclip build .* engine=.tensorrt. frames=\.\.\."):
            engine.encode(np.zeros((700, 900, 3), np.uint8))
    assert len(engine.encode(np.zeros((224, 224, 3), np.uint8))) == 2


def test_a_plan_that_does_not_load_is_refused_with_the_reason_and_holds_nothing(small_bundle):
    cudart = FakeCudart()
    graph = "frame.any.fp32.onnx"
    origin = PlanOrigin("tensorrt", "10.3", ("86",), "Fake", graph, "", {})
    with pytest.raises(EngineError, match="not a plan.*maclip build"):
        TensorRtEngine(
            b"junk",
            replace(get_file(small_bundle, graph), plan=origin),
            small_bundle.manifest.method.views,
            again=rebuild(small_bundle, "tensorrt"),
            trt=make_fake_tensorrt(cudart, {}),
            cuda=Cuda(runtime=cudart),
        )
    assert not cudart.live
