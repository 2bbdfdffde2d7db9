"""Frame and score graphs compute what the runtime computes with the encoder graph."""

import numpy as np
import onnx
import onnxruntime
import pytest

from maclip_export.checkpoints import load_file
from maclip_export.errors import CheckpointError
from maclip_export.export import export_bundle
from maclip_export.graphs.joining import chain_graphs
from maclip_export.graphs.running import open_graph
from maclip_export.graphs.views import write_views_graph
from maclip_export.prompts import PUBLISHED_PROMPTS
from maclip_export.scenes import draw_scene
from maclip_export.selection import GraphSelection
from maclip_runtime import Scorer, open_bundle
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from maclip_runtime.method.geometry import ViewGeometry, divide_alike

SIZES = [(224, 224), (225, 901), (1080, 1920)]


@pytest.mark.parametrize("name", ["dense.any.fp32.onnx", "dense.480x640.fp32.onnx"])
def test_dense_frame_graphs_equal_the_dense_engine(bundle_of, name):
    bundle = open_bundle(bundle_of("rn-small"))
    (graph,) = (file for file in bundle.manifest.files if file.path == name)
    encoder = bundle.find("image_encoder", "fp32")
    host = OnnxRuntimeEngine(bundle, encoder, view_mode="dense")
    engine = OnnxRuntimeEngine(bundle, graph)
    for size in [(480, 640)] if "480" in name else SIZES:
        frame = draw_scene(*size)
        features = engine.encode(frame)
        assert features == pytest.approx(host.encode(frame), abs=1e-4)  # of 5; measured: 6e-6
    # The encoder runs twice in the graph, and its weights are there once.
    assert graph.size < 1.02 * (bundle.path / "image_encoder.fp32.onnx").stat().st_size


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_whatever_the_frame_a_dense_graph_encodes_one_block_of_bounded_size(bundle_of, precision):
    model = onnx.load(bundle_of("rn-small") / f"dense.any.{precision}.onnx")
    model.graph.output.append(onnx.helper.make_tensor_value_info("block", 1, None))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for height, width in [*SIZES, (255, 4000), (2160, 3840)]:
        blocks = [divide_alike(count) for count in ViewGeometry().grid(height, width)]
        inputs = {"frame": draw_scene(height, width), "views": np.array([0])}
        block, features = session.run(["block", "features"], inputs)
        assert block.shape == (1, 3, *(224 + 128 * (length - 1) for _, length in blocks))
        assert max(block.shape) <= 992
        assert len(features) == 1


def test_dense_frame_graphs_are_for_resnets(checkpoint_file, tmp_path):
    checkpoint = load_file(checkpoint_file("vit-small"))
    with pytest.raises(CheckpointError, match="need a ResNet"):
        export_bundle(
            checkpoint,
            tmp_path / "b",
            PUBLISHED_PROMPTS,
            GraphSelection(dense=[None]),
            text_encoder=False,
        )
    assert list(tmp_path.iterdir()) == []


def test_joined_graphs_keep_only_the_outer_names(bundle_of):
    encoder = onnx.load(bundle_of("rn-small") / "image_encoder.fp32.onnx")
    joined = chain_graphs(write_views_graph(ViewGeometry(), None, chunked=True), encoder).graph
    assert [value.name for value in joined.input] == ["frame", "views"]
    assert [value.name for value in joined.output] == ["features"]


@pytest.mark.parametrize("arch", ["rn-small", "vit-small"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 2e-3)])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_score_graphs_equal_the_scorer(bundle_of, arch, precision, tolerance, size):
    frame = draw_scene(*size)
    bundle = open_bundle(bundle_of(arch))
    expected = Scorer(bundle).score(frame)
    graph = bundle.path / f"score.any.{precision}.onnx"
    session = open_graph(graph)
    names = ["score", "similarity", "magnitude", "attributes"]
    for name, value in zip(names, session.run(names, {"frame": frame}), strict=True):
        means = getattr(expected.cues, name).mean(axis=0)
        assert value.shape == means.shape
        assert value == pytest.approx(means, abs=tolerance)
