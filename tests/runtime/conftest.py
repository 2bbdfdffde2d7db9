"""Engines opened on the test bundles: ONNX Runtime, and TensorRT over the fake GPU."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeCudart, make_fake_tensorrt

from maclip_runtime import open_bundle
from maclip_runtime.bundle.manifest import PlanOrigin
from maclip_runtime.engines.cuda import Cuda
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from maclip_runtime.engines.select import rebuild
from maclip_runtime.engines.tensorrt import TensorRtEngine

FRAMES = (
    (224, 224, 3),
    (480, 640, 3),
    (600, 900, 3),
)  # smallest, best, largest of the fake's profile


def get_file(bundle, name):
    """A file of a bundle by its name."""
    (found,) = (file for file in bundle.manifest.files if file.path == name)
    return found


@pytest.fixture(scope="session")
def small_bundle(rn_small_bundle):
    return open_bundle(rn_small_bundle)


@pytest.fixture(scope="session")
def host(small_bundle):
    """The published way: views cut in NumPy, the float32 encoder."""
    encoder = get_file(small_bundle, "image_encoder.fp32.onnx")
    return OnnxRuntimeEngine(small_bundle, encoder)


@pytest.fixture
def open_fake(small_bundle):
    """Opens the TensorRT engine on a graph that poses as a plan; checks that everything is given back."""
    opened = []

    def open_engine(graph="frame.any.fp32.onnx", chunk=7, library="tensorrt", cudart=None):
        cudart = cudart or FakeCudart()
        origin = PlanOrigin(library, "10.3", ("86",), "Fake", graph, "", {})
        engine = TensorRtEngine(
            (small_bundle.path / graph).read_bytes(),
            replace(get_file(small_bundle, graph), plan=origin),
            small_bundle.manifest.method.views,
            again=rebuild(small_bundle, library),
            trt=make_fake_tensorrt(cudart, {"frame": FRAMES, "views": ((1,), (4,), (chunk,))}),
            cuda=Cuda(runtime=cudart),
        )
        opened.append((engine, cudart))
        return engine, cudart

    yield open_engine
    for engine, cudart in opened:
        engine.close()
        assert not cudart.live
