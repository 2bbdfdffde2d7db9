"""Frame and score graphs compute what the host path computes, at any size, whole and in chunks."""

import numpy as np
import onnx
import onnxruntime
import pytest

from maclip_export.checkpoints import load_file
from maclip_export.errors import CheckpointError
from maclip_export.export import export_bundle
from maclip_export.frame_graphs import chain_graphs, write_head_graph, write_views_graph
from maclip_export.image_graphs import GraphPlan
from maclip_export.prompts import PUBLISHED_PROMPTS
from maclip_export.verification import draw_scene
from maclip_runtime import Scorer, open_bundle
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.head import Head, score_views
from maclip_runtime.method.views import iterate_views

GEOMETRY = ViewGeometry()
SIZES = [(224, 224), (225, 901), (1080, 1920), (3000, 4000)]
# Pixels are of the order of 2; the graph multiplies and subtracts where NumPy divides twice.
PIXEL_TOLERANCE = 2e-6


def open_model(model):
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_views_in_chunks_equal_the_host_paths(size, static):
    frame = draw_scene(*size)
    graph = write_views_graph(GEOMETRY, size if static else None, chunked=True)
    session = open_model(graph)
    last = GEOMETRY.count(*size) - 1
    # The corners, the middle, and the global view, in an order of their own.
    wanted = np.unique([0, last // 2, last - 1, last])[::-1].copy()
    views = session.run(None, {"frame": frame, "views": wanted})[0]
    expected = [view for batch in iterate_views(frame, GEOMETRY, 64) for view in batch]
    for view, index in zip(views, wanted, strict=True):
        assert np.abs(view - expected[index]).max() < PIXEL_TOLERANCE


@pytest.mark.parametrize("size", SIZES[:3], ids=str)
def test_views_of_a_whole_frame_equal_the_host_paths(size):
    frame = draw_scene(*size)
    expected = np.concatenate(list(iterate_views(frame, GEOMETRY, 64)))
    for frame_size in (size, None):
        graph = write_views_graph(GEOMETRY, frame_size, chunked=False)
        views = open_model(graph).run(None, {"frame": frame})[0]
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


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_the_head_graph_equals_the_numpy_head(lam):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((9, 64)).astype(np.float32)
    prompts = rng.standard_normal((3, 2, 64)).astype(np.float32)
    prompts /= np.linalg.norm(prompts, axis=-1, keepdims=True)
    constants = Head(boxcox_lambda=lam, alpha=0.7, similarity_base=0.9)
    expected = score_views(features, prompts, 4.6, constants)
    session = open_model(write_head_graph(prompts, 4.6, constants))
    names = ["score", "similarity", "magnitude"]
    for name, value in zip(names, session.run(names, {"features": features}), strict=True):
        assert value.shape == ()
        assert value == pytest.approx(getattr(expected, name).mean(), abs=1e-6)


@pytest.mark.parametrize("name", ["dense.any.fp32.onnx", "dense.480x640.fp32.onnx"])
def test_dense_frame_graphs_equal_the_dense_host_path(bundle_of, name):
    bundle = open_bundle(bundle_of("rn-small"))
    graph = bundle.path / name
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    host = OnnxRuntimeEngine(bundle, views="dense", block_side=100)
    for size in [(480, 640)] if "480" in name else [(224, 224), (225, 901), (1080, 1920)]:
        frame = draw_scene(*size)
        features = session.run(None, {"frame": frame})[0]
        assert features == pytest.approx(host.encode(frame), abs=1e-4)  # of 5; measured: 6e-6
    # The encoder runs twice in the graph, and its weights are there once.
    assert graph.stat().st_size < 1.02 * (bundle.path / "image_encoder.fp32.onnx").stat().st_size


def test_dense_frame_graphs_are_for_resnets(checkpoint_file, tmp_path):
    checkpoint = load_file(checkpoint_file("vit-small"))
    with pytest.raises(CheckpointError, match="need a ResNet"):
        export_bundle(checkpoint, tmp_path / "b", PUBLISHED_PROMPTS, GraphPlan(dense=[None]))
    assert list(tmp_path.iterdir()) == []


def test_joined_graphs_keep_only_the_outer_names(bundle_of):
    encoder = onnx.load(bundle_of("rn-small") / "image_encoder.fp32.onnx")
    joined = chain_graphs(write_views_graph(GEOMETRY, None, chunked=True), encoder).graph
    assert [value.name for value in joined.input] == ["frame", "views"]
    assert [value.name for value in joined.output] == ["features"]


@pytest.mark.parametrize("arch", ["rn-small", "vit-small"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 2e-3)])
@pytest.mark.parametrize("size", SIZES[:3], ids=str)
def test_score_graphs_equal_the_scorer(bundle_of, arch, precision, tolerance, size):
    frame = draw_scene(*size)
    bundle = open_bundle(bundle_of(arch))
    expected = Scorer(bundle).score(frame)
    graph = bundle.path / f"score.any.{precision}.onnx"
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = ["score", "similarity", "magnitude"]
    for name, value in zip(names, session.run(names, {"frame": frame}), strict=True):
        assert float(value) == pytest.approx(getattr(expected, name), abs=tolerance)
