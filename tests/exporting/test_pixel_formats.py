"""Graphs convert frames of other pixel formats to the bit as the host does."""

import numpy as np
import pytest
from PIL import Image

from maclip_export.graphs.building import write_graph
from maclip_export.graphs.pixel_formats import declare_frame, write_rgb_frame
from maclip_export.graphs.running import open_graph
from maclip_export.graphs.views import write_views_graph
from maclip_runtime.bundle.manifest import VideoColour
from maclip_runtime.errors import UsageError
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.sources.colour import convert_yuv, list_terms
from maclip_runtime.sources.pictures import read_frame
from maclip_runtime.vocabulary import COLOUR_MATRICES, COLOUR_RANGES

COLOURS = [VideoColour(matrix, span) for matrix in COLOUR_MATRICES for span in COLOUR_RANGES]
CHROMA = np.r_[0:256:5, 1, 127:130, 254]  # with the ends and what is about gray


def convert(frame, pixel_format, colour=None, size=None):
    """A frame as the graph's RGB."""

    def write(op, frame):
        return {"rgb": write_rgb_frame(op, frame, pixel_format, colour).image}

    graph = write_graph("rgb", [declare_frame(size, pixel_format)], write)
    return open_graph(graph).run(None, {"frame": frame})[0]


@pytest.mark.parametrize("colour", COLOURS, ids=str)
def test_nv12_is_the_hosts_rgb_for_every_luma_and_a_grid_of_chroma(colour):
    blue, red = (part.ravel() for part in np.meshgrid(CHROMA, CHROMA))
    pairs = np.stack([blue, red], axis=1).astype(np.uint8)  # [N, 2]
    # A pair's 256 values of luma are 128 columns of two rows; there are N pairs of rows.
    luma = np.arange(256, dtype=np.uint8).reshape(2, 128)
    luma = np.tile(luma, (len(pairs), 1))
    chroma = np.repeat(pairs[:, None], 64, axis=1)  # [N, 64, 2]
    frame = np.concatenate([luma, chroma.reshape(len(pairs), 128)])
    expected = convert_yuv(luma, chroma[..., 0], chroma[..., 1], colour.matrix, colour.range)
    assert np.array_equal(convert(frame, "nv12", colour), expected)


@pytest.mark.parametrize("colour", COLOURS, ids=str)
def test_no_product_of_nv12_is_so_near_a_half_that_float32_could_round_it_otherwise(colour):
    # A factor and a product are each off by at most half a step: together by 2^-23 of the product.
    for term in list_terms(colour.matrix, colour.range).values():
        products = np.abs(term.gain * (np.arange(256.0) - term.zero))
        distance = np.abs(products - np.floor(products) - 0.5)
        assert (distance > 2.0**-22 * products).all()


def test_rgba_is_composited_on_white_as_pillow_does_for_every_value_and_alpha():
    value, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    frame = np.stack([value, value[::-1], 255 - value, alpha], axis=2)
    expected = read_frame(Image.fromarray(frame, "RGBA"))
    assert np.array_equal(convert(frame, "rgba"), expected)


@pytest.mark.parametrize("size", [None, (6, 8)])
def test_frames_of_every_format_are_the_same_picture(size):
    rgb = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    assert np.array_equal(convert(rgb, "rgb24", size=size), rgb)
    assert np.array_equal(convert(rgb[..., ::-1], "bgr24", size=size), rgb)
    opaque = np.dstack([rgb, np.full((6, 8), 255, np.uint8)])
    assert np.array_equal(convert(opaque, "rgba", size=size), rgb)


def test_nv12_of_odd_sides_is_refused():
    for size in ((225, 224), (224, 225)):
        with pytest.raises(UsageError, match="even sides only"):
            declare_frame(size, "nv12")


@pytest.mark.parametrize("pixel_format", ["bgr24", "rgba", "nv12"])
def test_the_cast_is_the_first_to_read_the_frame_and_static_graphs_are_folded(pixel_format):
    colour = COLOURS[0] if pixel_format == "nv12" else None
    for size in (None, (1080, 1920)):
        graph = write_views_graph(
            ViewGeometry(), size, chunked=size is None, pixel_format=pixel_format, colour=colour
        )
        readers = [node.op_type for node in graph.graph.node if "frame" in node.input]
        assert readers == ["Cast"]
    operations = {node.op_type for node in graph.graph.node}
    assert not operations & {"Shape", "Range"}
    assert graph.ByteSize() < 100_000
