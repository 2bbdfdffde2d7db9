"""ONNX Runtime: which graph a provider gets, and that nothing else runs in its place."""

import numpy as np
import onnxruntime
import pytest

from maclip_runtime import BundleError, EngineError, Scorer, UsageError, open_bundle
from maclip_runtime.engines import onnxruntime as engine_module
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine, choose_graph


@pytest.fixture
def bundle(rn_small_bundle):
    return open_bundle(rn_small_bundle)


def test_the_cpu_runs_the_float32_encoder(bundle):
    assert choose_graph(bundle, None, on_gpu=False).path == "image_encoder.fp32.onnx"


def test_a_gpu_runs_the_half_precision_frame_graph_for_any_size(bundle):
    assert choose_graph(bundle, None, on_gpu=True).path == "frame.any.fp16.onnx"
    assert choose_graph(bundle, "fp32", on_gpu=True).path == "frame.any.fp32.onnx"


def test_a_gpu_runs_the_encoder_where_there_is_no_frame_graph(bundle_of):
    assert choose_graph(open_bundle(bundle_of("rn50")), None, on_gpu=True).path == (
        "image_encoder.fp16.onnx"
    )


def test_a_precision_that_the_bundle_lacks_is_said():
    with pytest.raises(BundleError, match="no image encoder in fp16; .*--precision fp32,fp16"):
        choose_graph(open_bundle("demo"), "fp16", on_gpu=False)


def test_the_frame_graph_in_chunks_gives_the_host_paths_features(bundle, frame, monkeypatch):
    """The path that a GPU provider takes, run here by the CPU's under that name."""
    monkeypatch.setitem(engine_module.PROVIDERS, "onnxruntime-cuda", "CPUExecutionProvider")
    expected = OnnxRuntimeEngine(bundle).encode(frame)
    for micro_batch in (1, 3, 100):
        engine = OnnxRuntimeEngine(
            bundle, "onnxruntime-cuda", precision="fp32", micro_batch=micro_batch
        )
        assert engine.encode(frame) == pytest.approx(expected, abs=1e-5)
    assert [f.shape for f in engine.encode_many([frame, frame])] == [expected.shape] * 2


def test_half_precision_runs_on_the_cpu_when_asked_for(bundle, frame):
    engine = OnnxRuntimeEngine(bundle, precision="fp16")
    assert engine.precision == "fp16"
    assert engine.encode(frame).dtype == np.float32


def test_a_provider_that_is_not_installed_is_an_error(bundle):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(EngineError, match=r"has no CUDAExecutionProvider; .*maclip-edge\[gpu\]"):
        OnnxRuntimeEngine(bundle, "onnxruntime-cuda")


def test_a_provider_that_does_not_load_is_an_error(bundle, monkeypatch):
    """ONNX Runtime only warns then, and runs the next one: here the CPU's, instead of the one named."""
    real = onnxruntime.InferenceSession

    def open_other(path, options, providers):
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_other)
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    with pytest.raises(EngineError, match="asked for, but ONNX Runtime runs CPUExecutionProvider"):
        OnnxRuntimeEngine(bundle, "onnxruntime-cuda")


@pytest.mark.parametrize("size", [(224, 224), (370, 500), (500, 1100)])
def test_dense_blocks_of_one_window_are_the_exact_views(bundle, size):
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    expected = OnnxRuntimeEngine(bundle).encode(frame)
    dense = OnnxRuntimeEngine(bundle, views="dense", block_side=1)
    assert dense.view_mode == "dense"
    assert dense.encode(frame) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("side", [2, 3, 7])
def test_dense_features_come_in_the_published_order_and_near_the_exact_ones(bundle, frame, side):
    expected = OnnxRuntimeEngine(bundle).encode(frame)
    features = OnnxRuntimeEngine(bundle, views="dense", block_side=side).encode(frame)
    assert features.shape == expected.shape
    assert features[-1] == pytest.approx(expected[-1], abs=1e-5)  # the global view is exact
    distance = np.linalg.norm(features[:, None] - expected[None], axis=2)
    assert (distance.argmin(axis=1) == np.arange(len(expected))).all()


def test_dense_views_are_for_resnets_in_onnxruntime(bundle_of, bundle):
    with pytest.raises(EngineError, match="need a ResNet, .* this is a VisionTransformer"):
        OnnxRuntimeEngine(open_bundle(bundle_of("vit-small")), views="dense")
    with pytest.raises(UsageError, match="tensorrt-rtx has no dense views"):
        Scorer(bundle, engine="tensorrt-rtx", views="dense")
    assert Scorer(bundle, views="dense").engine.name == "onnxruntime-cpu"


@pytest.mark.parametrize(
    ("flags", "machine", "overflows"),
    [
        ("flags : fpu avx512_vnni", "x86_64", False),
        ("flags : fpu avx_vnni", "x86_64", False),
        ("flags : fpu avx2", "x86_64", True),
        ("Features : asimd", "aarch64", False),
    ],
)
def test_cpus_whose_int8_sums_saturate_are_known(tmp_path, monkeypatch, flags, machine, overflows):
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(engine_module.platform, "machine", lambda: machine)
    assert engine_module.overflows_int8(tmp_path / "cpuinfo") is overflows


def test_threads_must_be_some(bundle):
    with pytest.raises(UsageError, match="at least 1"):
        OnnxRuntimeEngine(bundle, threads=0)


def test_a_graph_that_onnxruntime_does_not_read_is_one_line(bundle, monkeypatch, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    monkeypatch.setattr(type(bundle), "resolve", lambda self, file: broken)
    monkeypatch.setattr(type(bundle), "locate", lambda self, file: broken)
    with pytest.raises(EngineError, match="cannot run it with CPUExecutionProvider") as caught:
        OnnxRuntimeEngine(bundle)
    assert "\n" not in str(caught.value)
