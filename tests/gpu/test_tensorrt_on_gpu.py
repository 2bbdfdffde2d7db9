"""TensorRT and TensorRT-RTX on a real GPU: plans built for it, and their features on the host path's."""

from __future__ import annotations

import ctypes
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace

import numpy as np
import pytest

from maclip_export.verification import TOLERANCE, compare, draw_scene
from maclip_runtime import FrameError, Scorer, open_bundle
from maclip_runtime.device_frames import take_device_frame
from maclip_runtime.engines.batches import BatchedTensorRtEngine
from maclip_runtime.engines.cuda import Cuda
from maclip_runtime.engines.cudart import Cudart, list_libraries
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from maclip_runtime.engines.tensorrt import TensorRtEngine
from maclip_runtime.plans import PlanOptions, build_plan, make_profile

pytestmark = pytest.mark.gpu

FRAMES = ((224, 224), (480, 640), (1080, 1920))
SIZES = [(224, 224), (225, 901), (480, 640), (1080, 1920)]
MOST_VIEWS = 16  # so a 1080p frame's 99 views are 7 chunks, the last one not full
PRECISIONS = ["fp32", "fp16"]


@pytest.fixture(scope="session")
def make_engine(own_bundle, library, gpu):
    """Opens a plan of a graph, built for this GPU when it is first asked for."""
    built = {}

    def make(graph, most_views=MOST_VIEWS, **settings):
        if (graph, most_views) not in built:
            (file,) = (f for f in own_bundle.manifest.files if f.path == graph)
            profile = make_profile(file, FRAMES, (most_views, most_views))
            chosen = [gpu.compute_capability] if library == "tensorrt-rtx" else []
            options = PlanOptions(profile=profile, compute_capabilities=chosen)
            plan = build_plan(own_bundle, file, library, options)
            # A plan of the same graph with another profile takes its place in the bundle.
            kept = replace(plan, path=f"{most_views}-{plan.path}")
            shutil.copyfile(own_bundle.path / plan.path, own_bundle.path / kept.path)
            built[graph, most_views] = kept
        return TensorRtEngine(own_bundle, built[graph, most_views], **settings)

    return make


@pytest.fixture
def open_plan(make_engine):
    """The same, closed when the test is over."""
    with ExitStack() as stack:

        def open_it(*arguments, **settings):
            return stack.enter_context(closing(make_engine(*arguments, **settings)))

        yield open_it


@pytest.fixture(scope="session")
def host(own_bundle):
    """The float32 host path, on the CPU."""
    return OnnxRuntimeEngine(own_bundle, own_bundle.find("image_encoder", "fp32"))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_features_are_those_of_the_host_path_at_every_size(open_plan, host, precision):
    engine = open_plan(f"frame.any.{precision}.onnx")
    for height, width in SIZES:
        frame = draw_scene(height, width)
        assert compare(engine.encode(frame), host.encode(frame)) <= TOLERANCE[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_dense_plan_gives_the_features_of_the_dense_host_path(open_plan, own_bundle, precision):
    if not own_bundle.list_graphs("dense_frame_graph"):
        return  # a ViT has no dense mode
    encoder = own_bundle.find("image_encoder", "fp32")
    engine = open_plan(f"dense.any.{precision}.onnx")
    with closing(OnnxRuntimeEngine(own_bundle, encoder, view_mode="dense")) as host:
        for height, width in SIZES:  # at 1080p two blocks
            frame = draw_scene(height, width)
            assert compare(engine.encode(frame), host.encode(frame)) <= TOLERANCE[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_plan_for_one_size_takes_the_frame_at_once(open_plan, host, precision):
    engine = open_plan(f"frame.480x640.{precision}.onnx")
    frame = draw_scene(480, 640)
    assert compare(engine.encode(frame), host.encode(frame)) <= TOLERANCE[precision]
    with pytest.raises(FrameError, match="480 x 640"):
        engine.encode(draw_scene(480, 641))


@pytest.mark.parametrize("most_views", [1, 5])
def test_chunks_of_any_size_give_the_same_features(open_plan, host, most_views):
    engine = open_plan("frame.any.fp32.onnx", most_views)
    frame = draw_scene(480, 640)  # 13 views
    assert compare(engine.encode(frame), host.encode(frame)) <= TOLERANCE["fp32"]


def test_a_stream_keeps_its_order_while_sizes_change(open_plan, host):
    engine = open_plan("frame.any.fp16.onnx")
    sizes = [(480, 640)] * 5 + [(224, 224)] + [(480, 640)] * 3 + [(225, 901)]
    frames = [draw_scene(height, width, seed) for seed, (height, width) in enumerate(sizes)]
    pending = [engine.submit(frame) for frame in frames]
    for wait, frame in zip(pending, frames, strict=True):
        assert compare(wait.result(), host.encode(frame)) <= TOLERANCE["fp16"]


def test_some_views_are_those_of_all(open_plan, host):
    engine = open_plan("frame.any.fp16.onnx")
    frame = draw_scene(480, 640)
    views = [12, 3, 0, 11]
    assert compare(engine.encode(frame, views), host.encode(frame, views)) <= TOLERANCE["fp16"]


def test_replayed_cuda_graphs_follow_the_frame(open_plan):
    """The same frame gives the same bits, on the first run, the captured ones, and after another."""
    engine = open_plan("frame.any.fp16.onnx")
    first, second = draw_scene(480, 640, 1), draw_scene(480, 640, 2)
    expected = engine.encode(first)
    for _ in range(4):
        assert np.array_equal(engine.encode(first), expected)
        assert not np.array_equal(engine.encode(second), expected)


def test_threads_get_their_own_frames_features(open_plan):
    engine = open_plan("frame.any.fp16.onnx")
    frames = [draw_scene(*size, seed) for seed, size in enumerate([(480, 640), (300, 400)] * 6)]
    expected = [engine.encode(frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        for features, wanted in zip(pool.map(engine.encode, frames), expected, strict=True):
            assert compare(features, wanted) <= 1e-3  # kernels may differ from size to size


def test_a_frame_beyond_the_profile_is_refused_and_the_engine_goes_on(open_plan, host):
    engine = open_plan("frame.any.fp16.onnx")
    with pytest.raises(FrameError, match=r"1080 x 1920.*1081 x 1920.*frames="):
        engine.encode(np.zeros((1081, 1920, 3), np.uint8))
    frame = draw_scene(480, 640)
    assert compare(engine.encode(frame), host.encode(frame)) <= TOLERANCE["fp16"]


@pytest.mark.parametrize("place", list(list_libraries()))
def test_libcudart_through_ctypes_gives_the_same_features(open_plan, place):
    try:
        runtime = Cudart(ctypes.CDLL(place))
    except OSError:
        pytest.skip(f"{place} is not on this machine, which has a GPU")
    if int(runtime.cudaSetDevice(0)[0]):
        pytest.skip(f"{place} is not for this GPU's driver")
    frames = [draw_scene(480, 640, seed) for seed in range(6)]  # a CUDA graph, too
    expected = open_plan("frame.any.fp16.onnx")
    found = open_plan("frame.any.fp16.onnx", cuda=Cuda(runtime=runtime))
    for frame in frames:
        assert np.array_equal(found.encode(frame), expected.encode(frame))


def test_views_of_several_frames_in_batches_have_the_same_features(own_bundle, library, gpu, host):
    graph = own_bundle.find("image_encoder", "fp16")
    chosen = [gpu.compute_capability] if library == "tensorrt-rtx" else []
    options = PlanOptions(make_profile(graph, FRAMES, (16, 16)), compute_capabilities=chosen)
    plan = build_plan(own_bundle, graph, library, options)
    frames = [draw_scene(*size, seed) for seed, size in enumerate([(224, 224), (480, 640)] * 10)]
    with closing(BatchedTensorRtEngine(own_bundle, plan)) as engine:
        pending = [engine.submit(frame) for frame in frames]
        for wait, frame in zip(pending, frames, strict=True):
            assert compare(wait.result(), host.encode(frame)) <= TOLERANCE["fp16"]


def test_frames_on_the_gpu_have_the_features_of_those_on_the_host(open_plan):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA, or not for this GPU's driver")
    engine = open_plan("frame.any.fp16.onnx")
    for seed in range(6):
        frame = draw_scene(480, 640, seed)
        on_gpu = torch.from_numpy(frame).cuda()
        expected = engine.encode(frame)
        assert np.array_equal(engine.encode(take_device_frame(on_gpu)), expected)
        padded = torch.nn.functional.pad(on_gpu, (0, 0, 0, 64))[:, :640]
        assert np.array_equal(engine.encode(take_device_frame(padded)), expected)


def test_tensorrt_rtx_compiles_nothing_the_second_time(make_engine, own_bundle, library):
    if library != "tensorrt-rtx":
        pytest.skip("TensorRT compiles when it builds; only TensorRT-RTX does on the GPU")
    frame = draw_scene(480, 640)
    engine = make_engine("frame.480x640.fp16.onnx")
    engine.encode(frame)
    engine.close()
    (kept,) = own_bundle.path.glob("*frame.480x640.fp16*.kernels")
    before = kept.read_bytes()
    engine = make_engine("frame.480x640.fp16.onnx")
    engine.encode(frame)
    engine.close()
    assert kept.read_bytes() == before


def test_auto_takes_a_plan_that_fits_and_says_so(open_plan, own_bundle, library):
    open_plan("frame.any.fp16.onnx")
    with Scorer(open_bundle(own_bundle.path)) as scorer:
        result = scorer.score(draw_scene(480, 640))
    assert result.engine in ("tensorrt", "tensorrt-rtx")  # a plan of the other may be there as well
    assert result.precision == "fp16"
    with Scorer(open_bundle(own_bundle.path), engine=library) as scorer:
        assert scorer.score(draw_scene(480, 640)).engine == library


def test_closing_gives_the_memory_back(make_engine):
    graph, frame = "frame.any.fp16.onnx", draw_scene(480, 640)
    with closing(Cuda()) as cuda:
        with closing(make_engine(graph)) as engine:
            engine.encode(frame)  # libraries keep something after their first use
        before = cuda.free_memory()
        with closing(make_engine(graph)) as engine:
            engine.encode(frame)
            assert cuda.free_memory() < before
        assert cuda.free_memory() > before - 16e6
