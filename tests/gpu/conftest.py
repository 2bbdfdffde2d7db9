"""What the GPU tests need, or the reason why they are skipped: a driver, a GPU, and a library for it."""

from __future__ import annotations

import shutil

import pytest

from maclip_runtime.bundle.bundle import open_bundle
from maclip_runtime.engines import driver
from maclip_runtime.engines.cudart import open_runtime
from maclip_runtime.engines.tensorrt_library import import_library
from maclip_runtime.errors import EngineError


@pytest.fixture(scope="session")
def gpu():
    """This machine's first GPU."""
    found = driver.find_driver()
    if found is None:
        pytest.skip("no NVIDIA driver or GPU on this machine")
    return found.gpus[0]


@pytest.fixture(scope="session", params=["tensorrt", "tensorrt-rtx"])
def library(request, gpu):
    """A library that can build for this GPU, and run what it built."""
    try:
        open_runtime(0)
        trt = import_library(request.param)
    except EngineError as error:
        pytest.skip(str(error))
    if request.param == "tensorrt-rtx":
        served = set(trt.ComputeCapability.__members__)
        if f"SM{gpu.compute_capability}" not in served:
            pytest.skip(
                f"tensorrt-rtx {trt.__version__} does not serve compute capability "
                f"{gpu.compute_capability}"
            )
    return request.param


@pytest.fixture(scope="session", params=["rn-small", "vit-small"])
def own_bundle(request, gpu, bundle_of, tmp_path_factory):
    """A copy of a bundle with every kind of graph, to build plans into."""
    copy = tmp_path_factory.mktemp("gpu") / f"{request.param}.maclip"
    shutil.copytree(bundle_of(request.param), copy)
    return open_bundle(copy)
