"""Engines opened on the test bundles: ONNX Runtime, and TensorRT over the fake GPU."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeCudart, load_as_library, make_fake_tensorrt

from maclip_runtime import open_bundle
from maclip_runtime.bundle.manifest import PlanOrigin
from maclip_runtime.engines.batches import BatchedTensorRtEngine
from maclip_runtime.engines.cuda import Cuda
from maclip_runtime.engines.cudart import Cudart
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine
from maclip_runtime.engines.tensorrt import TensorRtEngine

FRAMES = (
    (224, 224, 3),
    (480, 640, 3),
    (600, 1152, 3),
)  # smallest, best, largest of the fake's profile


def get_file(bundle, name):
    """A file of a bundle by its name."""
    (found,) = (file for file in bundle.manifest.files if file.path == name)
    return found


def pose_as_plan(graph, library="tensorrt", version="10.3", capability="86", **details):
    """The manifest's entry of a graph as if it were a plan built from itself."""
    origin = PlanOrigin(library, version, (capability,), "Fake", graph.path, graph.sha256, {})
    return replace(graph, plan=replace(origin, **details))


@pytest.fixture(scope="session")
def small_bundle(rn_small_bundle):
    return open_bundle(rn_small_bundle)


@pytest.fixture(scope="session")
def host(small_bundle):
    """The published way: views cut in NumPy, the float32 encoder."""
    encoder = get_file(small_bundle, "image_encoder.fp32.onnx")
    return OnnxRuntimeEngine(small_bundle, encoder)


@pytest.fixture(scope="session")
def plans_bundle(rn_small_bundle, tmp_path_factory):
    """A copy of it, beside whose plans compiled kernels may be kept."""
    copy = tmp_path_factory.mktemp("plans") / rn_small_bundle.name
    return open_bundle(shutil.copytree(rn_small_bundle, copy))


@pytest.fixture
def open_fake(plans_bundle):
    """Opens the TensorRT engine on a graph that poses as a plan; checks that everything is given back."""
    opened = []

    def open_engine(
        graph="frame.any.fp32.onnx",
        chunk=7,
        library="tensorrt",
        cudart=None,
        *,
        bundle=None,
        frames=FRAMES,
        origin=None,
        validity=None,
        over_ctypes=False,
    ):
        bundle, cudart = bundle or plans_bundle, cudart or FakeCudart()
        opened.append((None, cudart))
        origin = {"library": library, **(origin or {})}
        plan = pose_as_plan(get_file(bundle, graph), **origin)
        kind = BatchedTensorRtEngine if plan.role == "image_encoder" else TensorRtEngine
        counts = (1, min(4, chunk), chunk)
        profile = {
            "frame": frames,
            "views": tuple((count,) for count in counts),
            "pixels": tuple((count, 3, 224, 224) for count in counts),
        }
        engine = kind(
            bundle,
            plan,
            trt=make_fake_tensorrt(cudart, profile, validity),
            cuda=Cuda(runtime=Cudart(load_as_library(cudart)) if over_ctypes else cudart),
        )
        opened.append((engine, cudart))
        return engine, cudart

    yield open_engine
    for engine, _ in opened:
        if engine is not None:
            engine.close()
    for _, cudart in opened:  # also of those that did not open
        assert not cudart.live
