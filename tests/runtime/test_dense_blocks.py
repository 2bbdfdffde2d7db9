"""Dense graphs that work a frame off by blocks of windows: which block, and which features."""

import itertools

import numpy as np
import onnxruntime
import pytest

from conftest import get_file
from maclip_runtime.engines.chunks import bound_blocks, group_by_block
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from maclip_runtime.method.geometry import (
    BLOCK_SIDE,
    Block,
    ViewGeometry,
    divide_alike,
    split_into_blocks,
)
from maclip_runtime.method.views import normalise_block
from maclip_runtime.plans import make_profile
from reference.make_images import picture

GRAPH = "dense.any.fp32.onnx"
GEOMETRY = ViewGeometry()
TOLERANCE = 1e-5  # of features up to 5, in float32; measured 3e-6


def side(count):
    """Pixels of a frame's side with so many windows, and some that no window sees."""
    return GEOMETRY.size + (count - 1) * GEOMETRY.stride + 31


def find_blocks(count):
    """Where the blocks of one axis begin and end, window by window."""
    blocks, length = divide_alike(count)
    return [(count * p // blocks, count * p // blocks + length) for p in range(blocks)]


@pytest.mark.parametrize("count", range(1, 66))
def test_blocks_are_of_one_length_inside_the_frame_and_leave_no_window_out(count):
    blocks = find_blocks(count)
    assert blocks[0][0] == 0
    assert blocks[-1][1] == count
    assert {stop - start for start, stop in blocks} == {divide_alike(count)[1]}
    assert divide_alike(count)[1] <= BLOCK_SIDE
    for (_, stop), (start, _) in itertools.pairwise(blocks):
        assert 0 <= stop - start <= 1


@pytest.mark.parametrize("grid", [(1, 1), (7, 14), (8, 9), (15, 3), (16, 29)])
def test_every_view_is_in_a_chunk_of_its_block_and_nothing_else_is(grid):
    shape = (side(grid[0]), side(grid[1]), 3)
    views = np.arange(grid[0] * grid[1] + 1)
    split, order, places = group_by_block(shape, GEOMETRY, views)
    assert (order[places] == views).all()
    most = bound_blocks(shape, GEOMETRY)
    assert split.chunks <= most.chunks
    assert split.chunk <= most.chunk
    # Windows belong to the blocks of the CPU's dense mode, of which each begins where one here does.
    own = [
        {r * grid[1] + c for r in range(b.rows.start, b.rows.stop)
         for c in range(b.columns.start, b.columns.stop)}
        for b in split_into_blocks(shape, GEOMETRY, BLOCK_SIDE)
    ]  # fmt: skip
    own[-1].add(int(views[-1]))  # the global view goes with the last window
    assert [set(chunk.tolist()) for chunk in order.reshape(split.chunks, -1)] == own


def test_of_some_views_only_their_blocks_are_computed():
    shape = (side(8), side(8), 3)  # 2 x 2 blocks of 4 x 4 windows
    split, order, places = group_by_block(shape, GEOMETRY, np.array([63, 0, 64]))
    assert (split.chunks, split.chunk) == (2, 17)
    assert order[places].tolist() == [63, 0, 64]
    assert set(order[:17].tolist()) == {0}


@pytest.fixture(params=["onnxruntime-cpu", "tensorrt", "tensorrt-rtx"])
def open_dense(request, small_bundle, open_fake):
    """Opens an engine on the dense graph, for frames up to a size."""

    def open_engine(height, width):
        if request.param == "onnxruntime-cpu":
            return OnnxRuntimeEngine(small_bundle, get_file(small_bundle, GRAPH))
        frames = ((224, 224, 3), (height, width, 3), (height, width, 3))
        return open_fake(GRAPH, library=request.param, frames=frames)[0]

    return open_engine


@pytest.fixture(scope="module")
def encoder(small_bundle):
    file = get_file(small_bundle, "image_encoder.fp32.onnx")
    engine = OnnxRuntimeEngine(small_bundle, file, view_mode="dense")
    yield engine
    engine.close()


def draw(height, width):
    return picture(np.random.RandomState(3), width, height)


def test_features_are_those_of_the_cpu_where_blocks_come_out_even(open_dense, encoder):
    frame = draw(side(8), side(8))
    engine, whole = open_dense(*frame.shape[:2]), encoder.encode(frame)
    assert engine.encode(frame) == pytest.approx(whole, abs=TOLERANCE)
    for views in (
        [64],
        [63, 0],
        [5, 37, 5, 64, 2],
        [28, 27, 36, 35],
    ):  # of all four blocks, in order
        assert engine.encode(frame, views) == pytest.approx(whole[views], abs=TOLERANCE)


def test_blocks_that_do_not_come_out_even_see_one_window_more(open_dense, encoder, small_bundle):
    """Nine columns: the CPU's blocks are 0 to 3 and 4 to 8, and the graph's 0 to 4 and 4 to 8."""
    frame = draw(side(1), side(9))
    found, cpu = open_dense(*frame.shape[:2]).encode(frame), encoder.encode(frame)
    assert found[4:] == pytest.approx(cpu[4:], abs=TOLERANCE)
    wider = Block(slice(0, 1), slice(0, 5), slice(0, 224), slice(0, 4 * 128 + 224))
    session = onnxruntime.InferenceSession(small_bundle.path / "image_encoder.fp32.onnx")
    pixels = normalise_block(frame, GEOMETRY, wider)
    expected = session.run(["features"], {"pixels": pixels})[0]
    assert found[:4] == pytest.approx(expected[:4], abs=TOLERANCE)
    assert (
        np.abs(found[3] - cpu[3]).max() > 100 * TOLERANCE
    )  # the CPU's has its block's border there


def test_the_pixels_that_were_encoded_are_counted(open_dense):
    frame = draw(side(8), side(8))
    engine = open_dense(*frame.shape[:2])
    for views, blocks in ((None, 4), ([0, 1], 1)):
        pending = engine.submit(frame, views)
        pending.result()
        assert pending.time.pixels == blocks * (608 * 608 + 224 * 224)


def test_a_plans_profile_takes_the_views_of_a_block_whatever_is_asked_for(small_bundle):
    graph = get_file(small_bundle, GRAPH)
    sizes = ((224, 224), (480, 640), (1080, 1920))
    assert make_profile(graph, sizes, (4, 16))["views"] == ((1,), (50,), (50,))


def test_the_same_frames_are_replayed_as_one_cuda_graph_with_their_own_views(open_fake, encoder):
    frame = draw(side(1), side(8))
    shape = frame.shape
    engine, cudart = open_fake(GRAPH, frames=((224, 224, 3), shape, shape))
    for step in range(6):
        moved = np.roll(frame, 17 * step, axis=1)
        assert engine.encode(moved) == pytest.approx(encoder.encode(moved), abs=TOLERANCE)
    assert cudart.launches == 2  # of six alike, the last two: two slots ran, and two were captured
    assert {run["views"] for run in cudart.contexts[0].ran} == {
        (5,)
    }  # 4 windows and the global view
