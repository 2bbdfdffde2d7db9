"""A selection of graphs is a table: a row a graph, in the order they are written."""

import pytest

from maclip_export.errors import CheckpointError
from maclip_export.selection import GraphRow, GraphSelection, list_graphs
from maclip_runtime.errors import UsageError

CAMERA = (1080, 1920)


def list_paths(selection, *, resnet=True):
    return [row.path for row in list_graphs(selection, resnet=resnet)]


def test_nothing_asked_for_is_the_float32_encoder():
    assert list_graphs(GraphSelection(), resnet=False) == [
        GraphRow("image_encoder", "fp32", "module", view_mode="exact")
    ]


def test_the_float32_encoder_is_there_whatever_is_asked_for():
    assert list_paths(GraphSelection(["fp16"])) == [
        "image_encoder.fp32.onnx",
        "image_encoder.fp16.onnx",
    ]


def test_frames_scores_and_dense_graphs_come_in_every_precision_that_was_asked_for():
    selection = GraphSelection(["fp32", "fp16"], [None], [CAMERA], [None, CAMERA])
    assert list_paths(selection) == [
        "image_encoder.fp32.onnx",
        "image_encoder.fp16.onnx",
        "frame.any.fp32.onnx",
        "score.1080x1920.fp32.onnx",
        "dense.any.fp32.onnx",
        "dense.1080x1920.fp32.onnx",
        "frame.any.fp16.onnx",
        "score.1080x1920.fp16.onnx",
        "dense.any.fp16.onnx",
        "dense.1080x1920.fp16.onnx",
    ]


def test_roles_view_modes_and_chunks_are_recorded_with_each_graph():
    rows = list_graphs(
        GraphSelection(["fp16"], [None, CAMERA], [None], [None, CAMERA]), resnet=True
    )[2:]
    assert [(row.role, row.size, row.view_mode, row.chunked) for row in rows] == [
        ("frame_graph", None, "exact", True),
        ("frame_graph", CAMERA, "exact", False),
        ("score_graph", None, "exact", False),
        ("dense_frame_graph", None, "dense", True),
        ("dense_frame_graph", CAMERA, "dense", False),
    ]


def test_every_graph_has_something_to_be_held_against():
    pictures = object()  # of which only the presence counts here
    selection = GraphSelection(["int8"], [None], [None], [None], calibration=pictures)
    assert {row.path: row.reference for row in list_graphs(selection, resnet=True)} == {
        "image_encoder.fp32.onnx": "module",
        "image_encoder.int8.onnx": "ranking",
        "frame.any.int8.onnx": "features",
        "score.any.int8.onnx": "scores",
        "dense.any.int8.onnx": "features",
    }


def test_frame_graphs_come_in_every_pixel_format_that_was_asked_for():
    selection = GraphSelection(
        frames=[None, CAMERA], pixel_formats=["rgb24", "bgr24", "nv12"], matrix="bt601"
    )
    assert list_paths(selection)[1:] == [
        "frame.any.fp32.onnx",
        "frame.any.bgr24.fp32.onnx",
        "frame.any.nv12.fp32.onnx",
        "frame.1080x1920.fp32.onnx",
        "frame.1080x1920.bgr24.fp32.onnx",
        "frame.1080x1920.nv12.fp32.onnx",
    ]


def test_the_matrix_of_nv12_goes_by_size_unless_it_is_named():
    sizes = [(480, 640), CAMERA]
    for matrix, expected in ((None, ["bt601", "bt709"]), ("bt2020", ["bt2020", "bt2020"])):
        selection = GraphSelection(
            frames=sizes, pixel_formats=["nv12"], matrix=matrix, value_range="full"
        )
        rows = list_graphs(selection, resnet=True)[1:]
        assert [row.colour.matrix for row in rows] == expected
        assert {row.colour.range for row in rows} == {"full"}
    with pytest.raises(UsageError, match='which matrix .*name it with matrix="bt709"'):
        GraphSelection(frames=[None], pixel_formats=["nv12"])


def test_nv12_of_odd_sides_is_refused():
    with pytest.raises(UsageError, match="nv12 frames of 1081 x 1920: a graph takes even sides"):
        GraphSelection(frames=[(1081, 1920)], pixel_formats=["nv12"])


def test_dense_graphs_are_for_resnets():
    with pytest.raises(CheckpointError, match="need a ResNet"):
        list_graphs(GraphSelection(dense=[None]), resnet=False)


def test_int8_without_calibration_pictures_is_refused():
    with pytest.raises(UsageError, match="int8 needs calibration pictures"):
        GraphSelection(["fp32", "int8"])
