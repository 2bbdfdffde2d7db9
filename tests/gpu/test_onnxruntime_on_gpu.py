"""ONNX Runtime's GPU providers on a real GPU."""

from __future__ import annotations

import pytest

from maclip_export.verification import TOLERANCE, compare, draw_scene
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from maclip_runtime.engines.select import list_candidates, select_engine

pytestmark = pytest.mark.gpu


@pytest.fixture(params=["onnxruntime-cuda", "onnxruntime-tensorrt", "onnxruntime-tensorrt-rtx"])
def provider(request, own_bundle):
    for candidate in list_candidates(own_bundle, request.param):
        if candidate.fault is not None:
            pytest.skip(str(candidate.fault))
    return request.param


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_features_are_those_of_the_host_path(own_bundle, provider, precision):
    engine = select_engine(own_bundle, provider, precision=precision).engine
    host = OnnxRuntimeEngine(own_bundle, own_bundle.find("image_encoder", "fp32"))
    for height, width in [(224, 224), (480, 640), (1080, 1920)]:
        frame = draw_scene(height, width)
        assert compare(engine.encode(frame), host.encode(frame)) <= TOLERANCE[precision]
