"""The TensorRT engine's bookkeeping, over a fake GPU that runs the frame graph in ONNX Runtime.

What every engine must do is in test_engine_contract.
"""

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest
from fake_gpu import FakeCudart

from conftest import get_file
from maclip_runtime import BundleError, EngineError, FrameError, UsageError, open_bundle
from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.engines import kernel_cache
from maclip_runtime.engines.slots import copy_frame
from maclip_runtime.errors import OutputError
from reference.make_images import picture

GRAPH = "frame.any.fp32.onnx"
STATIC = "frame.480x640.fp32.onnx"
# The fake runs in chunks of other sizes than the host path; see test_scorer for the tolerance.
TOLERANCE = 1e-5


@pytest.fixture
def own(small_bundle, tmp_path):
    """A copy of the bundle, to write into."""
    return open_bundle(shutil.copytree(small_bundle.path, tmp_path / "own.maclip"))


def draw(*sizes):
    rng = np.random.RandomState(3)
    return [picture(rng, width, height) for height, width in sizes]


@pytest.mark.parametrize("chunk", [1, 5, 13, 64])
def test_views_run_in_chunks_that_the_profile_takes(host, open_fake, chunk):
    engine, _ = open_fake(chunk=chunk)
    (frame,) = draw((480, 640))  # 13 views
    assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=TOLERANCE)


LAYOUTS = {
    "contiguous": lambda frame: frame,
    "BGR view": lambda frame: np.ascontiguousarray(frame[..., ::-1])[..., ::-1],
    "RGB of BGRA": lambda frame: np.dstack([frame[..., ::-1], frame[..., 0]])[..., 2::-1],
    "cut out": lambda frame: np.pad(frame, 9)[9:-9, 9:-9, 9:-9],
    "rows of a larger frame": lambda frame: np.pad(frame, ((3, 3), (3, 3), (0, 0)))[3:-3, 3:-3],
    "upside down": lambda frame: np.ascontiguousarray(frame[::-1])[::-1],
    "mirrored": lambda frame: np.ascontiguousarray(frame[:, ::-1])[:, ::-1],
    "planar": lambda frame: np.ascontiguousarray(frame.transpose(2, 0, 1)).transpose(1, 2, 0),
    "one pixel repeated": lambda frame: np.broadcast_to(frame[:1, :1], frame.shape),
}


@pytest.mark.parametrize("shape", [(54, 36), (36, 54, 4)], ids=["nv12", "rgba"])
def test_frames_of_other_formats_are_uploaded_as_they_are(shape):
    frame = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for given in (frame, frame[::-1], frame[:, ::-1]):
        host = np.empty(shape, np.uint8)
        copy_frame(given, host)
        np.testing.assert_array_equal(host, given)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pixels_are_uploaded_as_they_are_whatever_their_layout_in_memory(layout):
    frame = LAYOUTS[layout](np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8))
    host = np.empty(frame.shape, np.uint8)
    copy_frame(frame, host)
    assert (host == frame).all()


def test_cuda_graphs_are_captured_from_the_third_frame_of_a_shape_on_and_replayed(host, open_fake):
    engine, cudart = open_fake()
    frames = draw(*[(480, 640)] * 8, (224, 224), *[(480, 640)] * 2)
    for frame in frames:
        assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=TOLERANCE)
    assert cudart.launches == 4  # of the eight alike, the last four: two ran, two were captured


def test_alternating_shapes_are_not_captured(open_fake):
    engine, cudart = open_fake()
    for _ in range(10):
        for frame in draw((480, 640), (224, 224)):
            engine.encode(frame)
    assert (cudart.captures, cudart.live_graphs) == (0, [])


def test_cuda_graphs_are_freed_when_the_shape_changes(open_fake):
    engine, cudart = open_fake()
    for frame in draw(*[(480, 640)] * 5, (224, 224)):
        engine.encode(frame)
    assert (cudart.captures, cudart.live_graphs) == (2, [])


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


def test_tensorrt_rtx_gets_its_memory_from_us(open_fake):
    """What a captured CUDA graph needs of it."""
    _, cudart = open_fake(library="tensorrt-rtx")
    (context,) = cudart.contexts
    assert (context.config.allocation, context.memory) == ("user", 1000)


def test_tensorrt_rtx_compiles_at_once_and_is_captured_where_frames_have_one_size(host, open_fake):
    engine, cudart = open_fake(library="tensorrt-rtx", frames=((480, 640, 3),) * 3)
    (context,) = cudart.contexts
    assert context.config.dynamic_shapes_kernel_specialization_strategy == "eager"
    for frame in draw(*[(480, 640)] * 6):
        assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=TOLERANCE)
    assert cudart.launches == 2


def test_tensorrt_rtx_compiles_beside_the_work_and_is_not_captured_where_sizes_change(open_fake):
    """A CUDA graph would keep the kernels that are to be replaced."""
    engine, cudart = open_fake(library="tensorrt-rtx")
    (context,) = cudart.contexts
    assert context.config.dynamic_shapes_kernel_specialization_strategy == "lazy"
    for frame in draw(*[(480, 640)] * 6):
        engine.encode(frame)
    assert cudart.captures == 0


def test_tensorrt_rtx_runs_few_sizes_of_chunks_whatever_the_numbers_of_views(host, open_fake, own):
    engine, cudart = open_fake(library="tensorrt-rtx", chunk=16, bundle=own)  # 4 are best
    (frame,) = draw((480, 640))
    for count in range(1, 14):
        views = list(range(count))
        assert engine.encode(frame, views) == pytest.approx(
            host.encode(frame, views), abs=TOLERANCE
        )
    (context,) = cudart.contexts
    assert [shapes["views"] for shapes in context.compiled] == [(1,), (2,), (4,)]


def test_tensorrt_rtx_kernels_are_kept_for_the_next_process(open_fake, own):
    (frame,) = draw((480, 640))
    for _ in range(2):
        engine, cudart = open_fake(library="tensorrt-rtx", bundle=own)
        engine.encode(frame)
        engine.close()
        compiled = cudart.contexts[0].compiled
    assert compiled == []
    assert (own.path / f"{GRAPH}.kernels").read_bytes().startswith(b"kernels:")


def test_kernels_of_a_running_stream_are_kept_once_it_is_steady(open_fake, own):
    engine, _ = open_fake(library="tensorrt-rtx", bundle=own)
    for frame in draw(*[(480, 640)] * 3):
        engine.encode(frame)
    assert (own.path / f"{GRAPH}.kernels").exists()  # should the process be killed


def test_kernels_that_others_may_have_written_are_not_taken(open_fake, own):
    (frame,) = draw((480, 640))
    for permissions, compiled in ((0o600, 0), (0o666, 1), (0o620, 1)):
        engine, cudart = open_fake(library="tensorrt-rtx", bundle=own)
        engine.encode(frame)
        engine.close()
        (own.path / f"{GRAPH}.kernels").chmod(permissions)
        engine, cudart = open_fake(library="tensorrt-rtx", bundle=own)
        engine.encode(frame)
        assert len(cudart.contexts[0].compiled) == compiled


@pytest.mark.parametrize("content", [b"", b"of another version"])
def test_kernels_that_the_library_refuses_are_replaced(open_fake, own, content):
    kept = own.path / f"{GRAPH}.kernels"
    kept.write_bytes(content)
    engine, _ = open_fake(library="tensorrt-rtx", bundle=own)
    engine.encode(*draw((480, 640)))
    engine.close()
    assert kept.read_bytes().startswith(b"kernels:")


def test_a_bundle_that_cannot_be_written_runs_all_the_same(host, open_fake, own, monkeypatch):
    def refuse(path, data):
        raise OutputError(f"{path}: read-only")

    monkeypatch.setattr(kernel_cache, "write_whole", refuse)
    engine, _ = open_fake(library="tensorrt-rtx", bundle=own)
    (frame,) = draw((480, 640))
    assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=TOLERANCE)
    engine.close()


def test_an_integrated_gpu_reads_the_hosts_memory_and_nothing_is_copied(host, open_fake):
    engine, cudart = open_fake(cudart=FakeCudart(integrated=True))
    for frame in draw(*[(480, 640)] * 5):
        assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=TOLERANCE)
    assert (cudart.copies, cudart.launches) == (0, 1)


def test_some_of_the_views_have_room_where_all_have(host, open_fake):
    """Two chunks of 33 views take more memory than three of 23, as each begins where a tensor may."""
    frames = ((224, 224, 3), (480, 640, 3), (864, 1504, 3))  # 67 views
    engine, _ = open_fake(chunk=33, frames=frames)
    (frame,) = draw((864, 1504))
    views = list(range(66))
    assert engine.encode(frame, views) == pytest.approx(host.encode(frame, views), abs=TOLERANCE)


def test_a_view_asked_for_many_times_is_computed_once(host, open_fake):
    engine, _ = open_fake()
    (frame,) = draw((300, 300))
    expected = host.encode(frame, [1])
    assert engine.encode(frame, [1] * 500) == pytest.approx(
        np.repeat(expected, 500, axis=0), abs=TOLERANCE
    )


def test_no_views_at_all_are_refused(open_fake, host):
    for engine in (open_fake()[0], host):
        with pytest.raises(UsageError, match="no views"):
            engine.submit(*draw((300, 300)), [])


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


def test_a_plan_that_does_not_load_is_refused_with_the_reason_and_holds_nothing(
    small_bundle, open_fake, tmp_path
):
    junk = hashlib.sha256(b"junk").hexdigest()
    graph = replace(get_file(small_bundle, GRAPH), path="junk", size=4, sha256=junk)
    manifest = replace(small_bundle.manifest, files=(graph,))
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(EngineError, match="not a plan.*maclip build"):
        open_fake("junk", bundle=Bundle(tmp_path, manifest))


def test_features_that_are_no_numbers_are_their_own_frames_error(host, open_fake):
    engine, cudart = open_fake()
    frames = draw(*[(300, 300)] * 4)
    cudart.spoil = True
    spoiled, *pending = [engine.submit(frame) for frame in frames]
    for _ in range(2):
        with pytest.raises(EngineError, match="not finite"):
            spoiled.result()
    for wait, frame in zip(pending, frames[1:], strict=True):
        assert wait.result() == pytest.approx(host.encode(frame), abs=TOLERANCE)


def test_closing_frees_everything_though_a_frame_under_way_fails(open_fake):
    engine, cudart = open_fake()
    cudart.spoil = True
    spoiled, good = (engine.submit(frame) for frame in draw((300, 300), (300, 300)))
    engine.close()
    assert not cudart.live
    with pytest.raises(EngineError, match="not finite"):
        spoiled.result()
    assert good.done()
    assert len(good.result()) == 2


def test_a_run_that_the_library_refuses_costs_no_other_frame(host, open_fake):
    engine, cudart = open_fake()
    first, second, third = draw(*[(300, 300)] * 3)
    before = engine.submit(first)
    cudart.refuse = True
    with pytest.raises(EngineError, match="tensorrt failed"):
        engine.submit(second)
    after = engine.submit(third)
    assert before.result() == pytest.approx(host.encode(first), abs=TOLERANCE)
    assert after.result() == pytest.approx(host.encode(third), abs=TOLERANCE)


@pytest.mark.parametrize("left", range(7))
def test_an_engine_that_does_not_open_for_want_of_memory_holds_nothing(open_fake, left):
    cudart = FakeCudart(fails={"cudaMalloc": left})
    with pytest.raises(EngineError, match="CUDA call failed: 2"):
        open_fake(library="tensorrt-rtx", cudart=cudart)
    assert not cudart.live


@pytest.mark.parametrize(
    ("library", "version_compatible", "allowed"),
    [("tensorrt", False, False), ("tensorrt", True, True), ("tensorrt-rtx", False, False)],
)
def test_only_version_compatible_plans_may_bring_code_for_the_host(
    open_fake, library, version_compatible, allowed
):
    _, cudart = open_fake(library=library, origin={"version_compatible": version_compatible})
    (runtime,) = cudart.runtimes
    assert runtime.engine_host_code_allowed is allowed


def test_a_plan_whose_checksum_differs_never_reaches_the_library(open_fake, own):
    path = own.path / GRAPH
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    cudart = FakeCudart()
    with pytest.raises(BundleError, match="checksum differs"):
        open_fake(bundle=own, cudart=cudart, origin={"version_compatible": True})
    assert cudart.runtimes == []


def test_tensorrt_rtx_is_asked_whether_a_plan_runs_on_this_gpu(open_fake):
    with pytest.raises(EngineError, match=r"does not run here \(unsupported cc\).*maclip build"):
        open_fake(library="tensorrt-rtx", validity=(2, 2))
    open_fake(library="tensorrt-rtx", validity=(1, 0))  # it runs, though another would be faster
