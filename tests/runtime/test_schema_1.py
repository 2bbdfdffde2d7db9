"""Bundles of schema 1 stay readable: the demo bundle of the first releases is one."""

import json
from pathlib import Path

import pytest

from maclip_runtime import BundleError, open_bundle
from maclip_runtime.bundle.parsing import parse_manifest

# As version 0.1.0's first exports wrote it, with a dense graph and plans beside.
OLD = json.loads((Path(__file__).parent / "manifest_schema_1.json").read_text(encoding="utf-8"))


def read(data=OLD):
    return parse_manifest(json.dumps(data))


def get_file(manifest, path):
    (found,) = (file for file in manifest.files if file.path == path)
    return found


def test_the_method_is_the_same():
    assert read().method == open_bundle("demo").manifest.method
    assert read().prompts == open_bundle("demo").manifest.prompts


@pytest.mark.parametrize(
    ("path", "role", "view_mode", "chunked"),
    [
        ("prompts.npz", "prompts", None, False),
        ("image_encoder.fp32.onnx", "image_encoder", "exact", False),
        ("frame.any.fp16.onnx", "frame_graph", "exact", True),
        ("dense.480x640.fp16.onnx", "dense_frame_graph", "dense", False),
    ],
)
def test_kinds_become_roles(path, role, view_mode, chunked):
    file = get_file(read(), path)
    assert (file.role, file.view_mode, file.chunked) == (role, view_mode, chunked)
    assert file.plan is None


def test_a_plan_gets_the_role_of_the_graph_that_it_names():
    dense = get_file(read(), "dense.480x640.fp16.tensorrt-10.3.sm87.plan")
    assert (dense.role, dense.view_mode) == ("dense_frame_graph", "dense")
    assert dense.plan is not None
    exact = get_file(read(), "frame.any.fp16.tensorrt-10.3.sm87.plan")
    assert (exact.role, exact.view_mode, exact.chunked) == ("frame_graph", "exact", True)


def test_what_it_says_of_half_precision_and_int8_is_kept():
    assert get_file(read(), "frame.any.fp16.onnx").float32_nodes == {"pool": "Softmax wants range"}
    assert get_file(read(), "image_encoder.int8.onnx").agreement.srcc == 0.999


def test_it_is_written_again_as_schema_2():
    manifest = read()
    assert json.loads(manifest.to_json())["schema"] == 2
    assert parse_manifest(manifest.to_json()) == manifest


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m["method"].pop("head"),
        lambda m: m.update(files=1),
        lambda m: m["files"][0].update(kind="pickle"),
        lambda m: m["files"][-1]["plan"].update(graph="gone.onnx"),
    ],
)
def test_what_is_not_schema_1_either_is_refused_in_one_line(edit):
    data = json.loads(json.dumps(OLD))
    edit(data)
    with pytest.raises(BundleError, match="schema 1|not understood") as caught:
        read(data)
    assert "\n" not in str(caught.value)
