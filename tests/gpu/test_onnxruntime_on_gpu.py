"""ONNX Runtime's GPU providers on a real GPU."""

from __future__ import annotations

import pytest

from maclip_export.scenes import draw_scene
from maclip_export.verification import TOLERANCE, compare
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine, find_gpu_engines

pytestmark = pytest.mark.gpu


@pytest.fixture(params=["onnxruntime-cuda", "onnxruntime-tensorrt", "onnxruntime-tensorrt-rtx"])
def provider(request, gpu):
    if request.param not in find_gpu_engines():
        pytest.skip(f"this ONNX Runtime has no provider for {request.param}")
    return request.param


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_features_are_those_of_the_host_path(own_bundle, provider, precision):
    engine = OnnxRuntimeEngine(own_bundle, provider, precision=precision)
    host = OnnxRuntimeEngine(own_bundle, "onnxruntime-cpu")
    for height, width in [(224, 224), (480, 640), (1080, 1920)]:
        frame = draw_scene(height, width)
        assert compare(engine.encode(frame), host.encode(frame)) <= TOLERANCE[precision]
