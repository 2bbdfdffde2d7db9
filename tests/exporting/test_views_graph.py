"""The views graph cuts what the runtime cuts in NumPy, at any size, whole and in chunks."""

from functools import cache

import numpy as np
import pytest

from maclip_export.graphs.running import open_graph
from maclip_export.graphs.views import write_views_graph
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.views import iterate_views

GEOMETRY = ViewGeometry()
SIZES = [(224, 224), (225, 901), (1080, 1920), (3000, 4000)]
# Pixels are of the order of 2; the graph multiplies and subtracts where NumPy divides twice.
PIXEL_TOLERANCE = 2e-6


def draw_noise(size):
    """Noise over the full range: where neighbours differ most, a wrong index or weight shows most."""
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


@pytest.fixture(scope="module")
def host_views():
    """Some views of a frame by index, cut in NumPy: the corners, the middle, and the global view."""

    @cache
    def cut(size):
        last = GEOMETRY.count(*size) - 1
        wanted = {0, last // 2, last - 1, last}
        batches = iterate_views(draw_noise(size), GEOMETRY, 64)
        views = (view for batch in batches for view in batch)
        return {index: view.copy() for index, view in enumerate(views) if index in wanted}

    return cut


@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_views_in_chunks_equal_the_runtimes(host_views, size, static):
    frame = draw_noise(size)
    graph = write_views_graph(GEOMETRY, size if static else None, chunked=True)
    expected = host_views(size)
    wanted = np.array(sorted(expected, reverse=True))  # in an order of their own
    views = open_graph(graph).run(None, {"frame": frame, "views": wanted})[0]
    for view, index in zip(views, wanted, strict=True):
        assert np.abs(view - expected[index]).max() < PIXEL_TOLERANCE


@pytest.mark.parametrize("size", SIZES[:3], ids=str)
def test_views_of_a_whole_frame_equal_the_runtimes(size):
    frame = draw_noise(size)
    expected = np.concatenate(list(iterate_views(frame, GEOMETRY, 64)))
    for frame_size in (size, None):
        graph = write_views_graph(GEOMETRY, frame_size, chunked=False)
        views = open_graph(graph).run(None, {"frame": frame})[0]
        assert views.shape == expected.shape
        assert np.abs(views - expected).max() < PIXEL_TOLERANCE


def test_a_static_graph_has_its_indices_folded_in():
    graph = write_views_graph(GEOMETRY, (1080, 1920), chunked=False)
    operations = {node.op_type for node in graph.graph.node}
    assert not operations & {"Shape", "Range", "Div", "Floor"}
    assert graph.ByteSize() < 100_000


def test_the_cast_is_the_first_to_read_the_frame():
    graph = write_views_graph(GEOMETRY, None, chunked=True).graph
    assert [node.op_type for node in graph.node if "frame" in node.input] == ["Cast"]
