"""The two CUDA runtimes have the same calls; where one does not find the GPU, the other is asked."""

import ctypes
import re
import sysconfig
from pathlib import Path

import pytest
from fake_gpu import FakeCudart

from maclip_runtime import EngineError
from maclip_runtime.engines import cudart
from maclip_runtime.engines.cudart import SIGNATURES, Cudart, Out, Status, open_runtime
from maclip_runtime.engines.driver import find_driver

no_driver = pytest.mark.skipif(find_driver() is not None, reason="this machine has a GPU")

# What cuda_runtime_api.h calls the types; enumerations are ints.
C_TYPES = {
    "int": ctypes.c_int,
    "size_t": ctypes.c_size_t,
    "unsignedint": ctypes.c_uint,
    "unsignedlonglong": ctypes.c_ulonglong,
    "float": ctypes.c_float,
    "void*": ctypes.c_void_p,
    "cudaStream_t": ctypes.c_void_p,
    "cudaEvent_t": ctypes.c_void_p,
    "cudaGraph_t": ctypes.c_void_p,
    "cudaGraphExec_t": ctypes.c_void_p,
}


@pytest.fixture(params=["cu13", "cuda_runtime"])  # CUDA 13, CUDA 12
def cuda_package(request):
    """NVIDIA's package of the CUDA runtime, which loads without a driver: its folder."""
    folder = Path(sysconfig.get_path("purelib"), "nvidia", request.param)
    if not folder.is_dir():
        pytest.skip(f"needs nvidia-cuda-runtime ({request.param})")
    return folder


@pytest.fixture
def cuda_bindings():
    """The module `cuda.bindings.runtime`."""
    import cuda.bindings.runtime

    return cuda.bindings.runtime


def load(folder):
    (path,) = folder.glob("lib/libcudart.so.*")
    return Cudart(ctypes.CDLL(str(path)))


def test_every_call_is_in_the_library_with_the_arguments_of_its_header(cuda_package):
    load(cuda_package)  # AttributeError if it lacks one
    header = (cuda_package / "include" / "cuda_runtime_api.h").read_text()
    for name, expected in SIGNATURES.items():
        (arguments,) = re.findall(
            rf"^extern .*cudaError_t CUDARTAPI {name}\((.*)\);$", header, re.M
        )
        found = [read_type(argument) for argument in arguments.split(",") if argument != "void"]
        assert [describe(argument) for argument in expected] == found, name


def read_type(argument):
    """The type of an argument of the header, and whether the call writes through it."""
    words = re.sub(r"__dv\(.*|=.*|\bconst\b|\bstruct\b", "", argument)
    words = re.sub(r"\benum \w+", "int", words).replace("**", "* *").replace("*", " * ").split()
    text = "".join(words[:-1])  # the last word is its name
    if text in C_TYPES:
        return C_TYPES[text], False
    return C_TYPES[text.removesuffix("*")], True


def describe(argument):
    return (argument.kind, True) if isinstance(argument, Out) else (argument, False)


def test_both_runtimes_have_the_same_calls_and_names(cuda_bindings):
    for name in SIGNATURES:
        assert callable(getattr(cuda_bindings, name))
    for name in ("cudaStreamNonBlocking", "cudaHostAllocDefault", "cudaHostAllocMapped"):
        assert getattr(Cudart, name) == getattr(cuda_bindings, name)
    for group in ("cudaMemcpyKind", "cudaStreamCaptureMode", "cudaDeviceAttr"):
        for name, value in vars(getattr(Cudart, group)).items():
            assert int(getattr(getattr(cuda_bindings, group), name)) == value


@no_driver
def test_both_runtimes_say_the_same_of_a_machine_without_a_driver(cuda_package, cuda_bindings):
    runtime = load(cuda_package)
    for name, *arguments in (
        ("cudaSetDevice", 0),
        ("cudaMalloc", 16),
        ("cudaHostAlloc", 16, 0),
        ("cudaMemGetInfo",),
        ("cudaStreamCreateWithFlags", 1),
        ("cudaGetLastError",),
    ):
        status, *results = getattr(runtime, name)(*arguments)
        expected, *others = getattr(cuda_bindings, name)(*arguments)
        assert (int(status), status.name) == (int(expected), expected.name)
        assert len(results) == len(others)


class Lost:
    """A runtime of a CUDA that finds no driver."""

    def cudaSetDevice(self, device):  # noqa: N802
        return (Status(35, "cudaErrorInsufficientDriver"),)


def refuse():
    raise ImportError("no module named cuda.bindings")


@pytest.mark.parametrize("bindings", [refuse, Lost])
def test_libcudart_is_taken_where_cuda_bindings_do_not_load_or_find_no_gpu(monkeypatch, bindings):
    fake = FakeCudart()
    runtimes = [("cuda-bindings", bindings), ("libcudart.so.12", lambda: fake)]
    monkeypatch.setattr(cudart, "_list_runtimes", lambda: iter(runtimes))
    assert open_runtime(0) == ("libcudart.so.12", fake)


def test_where_no_runtime_finds_the_gpu_each_is_named_with_its_reason(monkeypatch):
    runtimes = [("cuda-bindings", refuse), ("libcudart.so.13", Lost)]
    monkeypatch.setattr(cudart, "_list_runtimes", lambda: iter(runtimes))
    with pytest.raises(
        EngineError,
        match="cuda-bindings: no module named cuda.bindings; libcudart.so.13: cudaErrorInsuff.*; install",
    ):
        open_runtime(0)


def test_the_packages_libraries_are_found(cuda_package):
    (path,) = cuda_package.glob("lib/libcudart.so.*")
    assert str(path) in list(cudart.list_libraries())
