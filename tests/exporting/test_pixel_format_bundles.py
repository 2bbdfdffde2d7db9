"""Frame graphs for BGR, RGBA and NV12: exported, chosen by their format alone, scored, and built."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "runtime"))

from fake_gpu import FakeCudart, make_fake_tensorrt

from maclip_export.checkpoints import load_file
from maclip_export.errors import VerificationError
from maclip_export.export import export_bundle
from maclip_export.frames import lay_out
from maclip_export.graphs import pixel_formats
from maclip_export.prompts import PUBLISHED_PROMPTS
from maclip_export.scenes import draw_scene
from maclip_export.selection import GraphSelection
from maclip_runtime import (
    BundleError,
    FrameError,
    PictureError,
    Scorer,
    Stream,
    UsageError,
    open_bundle,
)
from maclip_runtime.bundle.manifest import PlanOrigin
from maclip_runtime.engines.cuda import Cuda
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from maclip_runtime.engines.tensorrt import TensorRtEngine
from maclip_runtime.plans import PlanOptions, build_plan, make_profile
from maclip_runtime.sources.raw import RawFormat

FORMATS = ("bgr24", "rgba", "nv12")
SIZE = (480, 640)
# Graphs run in chunks of other sizes than the host path, and blend the global view otherwise.
TOLERANCE = {"fp32": 1e-5, "fp16": 2e-3}


@pytest.fixture(scope="session")
def formats_bundle(checkpoint_file, tmp_path_factory):
    """A small ResNet with frame graphs for every format but RGB, and no other frame graph; read only."""
    selection = GraphSelection(
        ["fp32", "fp16"], [None, SIZE], pixel_formats=FORMATS, matrix="bt709"
    )
    return export_bundle(
        load_file(checkpoint_file("rn-small")),
        tmp_path_factory.mktemp("formats") / "formats.maclip",
        PUBLISHED_PROMPTS,
        selection,
        text_encoder=False,
    )


def graph_of(bundle, name):
    (found,) = (file for file in bundle.manifest.files if file.path == name)
    return found


def draw(bundle, pixel_format, size=SIZE):
    """A frame of a format, and what it is in RGB."""
    colour = graph_of(bundle, "frame.any.nv12.fp32.onnx").colour
    return lay_out(draw_scene(*size), pixel_format, colour if pixel_format == "nv12" else None)


def test_each_graph_is_verified_and_says_what_it_takes(formats_bundle):
    for file in formats_bundle.manifest.files:
        assert (file.pixel_format in FORMATS) == (file.role == "frame_graph")
        assert (file.colour is not None) == (file.pixel_format == "nv12")
        assert file.role == "prompts" or file.verification.difference > 0
    nv12 = graph_of(formats_bundle, "frame.480x640.nv12.fp32.onnx")
    assert (nv12.inputs["frame"].shape, nv12.takes_any_size) == ((720, 640), False)
    assert (nv12.colour.matrix, nv12.colour.range) == ("bt709", "limited")
    assert graph_of(formats_bundle, "frame.any.nv12.fp32.onnx").takes_any_size


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_a_frame_scores_what_it_scores_in_rgb(formats_bundle, pixel_format, precision):
    frame, rgb = draw(formats_bundle, pixel_format)
    with Scorer(formats_bundle, precision=precision, pixel_format=pixel_format) as scorer:
        assert scorer.selection.file.path == f"frame.any.{pixel_format}.{precision}.onnx"
        (many,) = scorer.score_many([frame])
        found = scorer.score(frame)
    expected = Scorer(formats_bundle).score(rgb)
    assert many.score == found.score
    assert found.score == pytest.approx(expected.score, abs=TOLERANCE[precision])
    for name in ("width", "height", "views", "enlarged", "preset"):
        assert getattr(found, name) == getattr(expected, name)
    assert found.map().values.shape == expected.map().values.shape


def test_nv12_scores_what_its_bytes_score_as_a_raw_frame(formats_bundle):
    frame = np.random.default_rng(0).integers(0, 256, (720, 640), np.uint8)
    rgb = RawFormat(*SIZE, "nv12", matrix="bt709").convert(frame.ravel())
    with Scorer(formats_bundle, pixel_format="nv12") as scorer:
        expected = Scorer(formats_bundle).score(rgb).score
        assert scorer.score(frame).score == pytest.approx(expected, abs=1e-5)


def test_a_wrong_conversion_is_found_and_nothing_is_written(checkpoint_file, tmp_path, monkeypatch):
    real = pixel_formats.list_terms

    def swap(matrix, value_range):
        terms = real(matrix, value_range)
        return {**terms, "red": terms["blue"], "blue": terms["red"]}

    monkeypatch.setattr(pixel_formats, "list_terms", swap)
    selection = GraphSelection(frames=[SIZE], pixel_formats=["nv12"])
    with pytest.raises(VerificationError, match="frame.480x640.nv12.fp32.onnx differs"):
        export_bundle(
            load_file(checkpoint_file("rn-small")),
            tmp_path / "b",
            PUBLISHED_PROMPTS,
            selection,
            text_encoder=False,
        )
    assert list(tmp_path.iterdir()) == []


def test_rgb_is_never_given_to_a_graph_of_another_format(formats_bundle):
    with Scorer(formats_bundle) as scorer:
        assert scorer.selection.file.path == "image_encoder.fp32.onnx"


@pytest.mark.parametrize(
    ("pixel_format", "shape"),
    [
        ("nv12", (720, 641)),
        ("nv12", (721, 640)),
        ("nv12", (480, 640, 3)),
        ("rgba", (480, 640, 3)),
        ("bgr24", (480, 640, 4)),
        ("bgr24", (720, 640)),
    ],
)
def test_what_is_no_frame_of_the_format_is_that_pictures_error(formats_bundle, pixel_format, shape):
    with Scorer(formats_bundle, pixel_format=pixel_format) as scorer:
        with pytest.raises(PictureError, match=f"is no {pixel_format} frame; frames are arrays"):
            scorer.score(np.zeros(shape, np.uint8))
        with pytest.raises(PictureError, match=f"is no {pixel_format} frame"):
            scorer.score("picture.jpg")
        too_small = draw(formats_bundle, pixel_format, (222, 640))[0]
        with pytest.raises(PictureError, match="222 x 640 is smaller than a view"):
            scorer.score(too_small)
        with pytest.raises(UsageError, match="a stream finds what has changed in RGB"):
            Stream(scorer)


def test_what_a_bundle_has_no_graph_for_is_refused(formats_bundle, bundle_of):
    plain = open_bundle(bundle_of("rn-small"))
    with pytest.raises(BundleError, match='has no frame graph for nv12.*pixel_format="nv12"'):
        Scorer(plain, pixel_format="nv12")
    with pytest.raises(BundleError, match='no dense frame graph for nv12.*views="exact"'):
        Scorer(formats_bundle, pixel_format="nv12", views="dense")
    with pytest.raises(UsageError, match='nv12 frames are not resized; use preset="native"'):
        Scorer(formats_bundle, pixel_format="nv12", preset="448")
    with pytest.raises(UsageError, match="yuyv422"):
        Scorer(formats_bundle, pixel_format="yuyv422")


def test_bundles_without_such_graphs_are_written_as_before(formats_bundle, bundle_of):
    def fields_of(bundle):
        files = json.loads(bundle.manifest.to_json())["files"]
        return {key for file in files for key in file} & {"pixel_format", "colour"}

    assert fields_of(open_bundle(bundle_of("rn-small"))) == set()
    assert fields_of(formats_bundle) == {"pixel_format", "colour"}
    assert open_bundle(formats_bundle.path).manifest == formats_bundle.manifest


def test_the_schema_holds_for_them(formats_bundle, jsonschema):
    from maclip_runtime.bundle.schema import make_schema

    jsonschema.validate(json.loads(formats_bundle.manifest.to_json()), make_schema())


@pytest.mark.parametrize("change", [{"colour": None}, {"pixel_format": "bgr24"}])
def test_colour_belongs_to_nv12_and_to_nothing_else(formats_bundle, tmp_path, change):
    file = graph_of(formats_bundle, "frame.any.nv12.fp32.onnx")
    manifest = replace(formats_bundle.manifest, files=(replace(file, **change),))
    (tmp_path / "manifest.json").write_text(manifest.to_json())
    with pytest.raises(BundleError, match=r"files\[0\].colour is there for nv12 frames"):
        open_bundle(tmp_path)


@pytest.mark.parametrize(
    "name", ["frame.any.bgr24.fp16.onnx", "frame.any.rgba.fp16.onnx", "frame.any.nv12.fp16.onnx",
             "frame.any.nv12.fp32.onnx", "frame.480x640.nv12.fp16.onnx"],
)  # fmt: skip
def test_every_format_builds(rtx, formats_bundle, tmp_path, name):
    bundle = open_bundle(shutil.copytree(formats_bundle.path, tmp_path / "b.maclip"))
    graph = graph_of(bundle, name)
    profile = make_profile(graph, ((224, 224), SIZE, (600, 900)), (4, 16))
    options = PlanOptions(profile, compute_capabilities=["86"])
    plan = build_plan(bundle, graph, "tensorrt-rtx", options)
    recorded = graph_of(open_bundle(bundle.path), plan.path)
    assert recorded.plan.profile == profile
    assert (recorded.pixel_format, recorded.colour) == (graph.pixel_format, graph.colour)
    assert recorded.inputs == graph.inputs


def test_a_profile_of_nv12_has_even_sides(formats_bundle):
    graph = graph_of(formats_bundle, "frame.any.nv12.fp16.onnx")
    assert make_profile(graph, ((224, 224), SIZE, (600, 900)), (4, 16))["frame"] == (
        (336, 224),
        (720, 640),
        (900, 900),
    )
    with pytest.raises(UsageError, match="225 x 224: a graph takes even sides only"):
        make_profile(graph, ((225, 224), SIZE, (600, 900)), (4, 16))


def test_the_command_builds_such_a_graph_only_by_its_name(maclip, formats_bundle):
    done = maclip("build", formats_bundle.path, "--engine", "tensorrt-rtx")
    assert done.returncode == 2
    assert "has no frame graph" in done.stderr


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("frame.any.nv12.fp32.onnx", ((336, 224), (720, 640), (900, 900))),
        ("frame.any.rgba.fp32.onnx", ((224, 224, 4), (480, 640, 4), (600, 900, 4))),
        ("frame.480x640.nv12.fp32.onnx", ()),
    ],
)
def test_a_plan_takes_frames_of_its_format(formats_bundle, tmp_path, name, frames):
    """Over a fake GPU, which runs the graph at the addresses that the engine sets."""
    bundle = open_bundle(shutil.copytree(formats_bundle.path, tmp_path / "b.maclip"))
    graph = graph_of(bundle, name)
    origin = PlanOrigin("tensorrt", "10.3", ("86",), "Fake", name, graph.sha256, {})
    cudart = FakeCudart()
    profile = {"frame": frames, "views": ((1,), (4,), (7,))}
    engine = TensorRtEngine(
        bundle,
        replace(graph, plan=origin),
        trt=make_fake_tensorrt(cudart, profile),
        cuda=Cuda(runtime=cudart),
    )
    host = OnnxRuntimeEngine(bundle, bundle.find("image_encoder", "fp32"))
    try:
        assert not engine.takes_device_frames  # which are RGB
        frame, rgb = draw(bundle, graph.pixel_format)
        for views in (None, [12, 3]):
            found, expected = engine.encode(frame, views), host.encode(rgb, views)
            assert found == pytest.approx(expected, abs=float(1e-5 * np.abs(expected).max()))
        with pytest.raises(FrameError, match="and this one is 640 x 902"):
            engine.encode(draw(bundle, graph.pixel_format, (640, 902))[0])
        with pytest.raises(FrameError, match=f"is no {graph.pixel_format} frame"):
            engine.encode(rgb)
    finally:
        engine.close()
