"""ONNX Runtime: that nothing but the provider asked for runs, and dense views.

What every engine must do is in test_engine_contract, which graph it gets in test_select.
"""

import numpy as np
import onnxruntime
import pytest

from conftest import get_file
from maclip_runtime import EngineError, FrameError, Scorer, UsageError, open_bundle
from maclip_runtime.engines import session as session_module
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine

ENCODER = "image_encoder.fp32.onnx"


@pytest.fixture
def open_engine(small_bundle):
    def open_it(graph=ENCODER, name="onnxruntime-cpu", **options):
        return OnnxRuntimeEngine(small_bundle, get_file(small_bundle, graph), name, **options)

    return open_it


@pytest.mark.parametrize("micro_batch", [1, 3, 100])
def test_the_frame_graph_runs_in_chunks(open_engine, host, frame, micro_batch):
    """The path that a GPU provider takes, run here by the CPU's."""
    engine = open_engine("frame.any.fp32.onnx", micro_batch=micro_batch)
    assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=1e-5)


def test_the_chunks_of_a_frame_have_one_size(open_engine, host, frame, monkeypatch):
    """cuDNN tries its algorithms for each new one."""
    engine = open_engine("frame.any.fp32.onnx", micro_batch=4)
    check, sizes = engine._check_rows, []

    def note(features, rows):
        sizes.append(rows)
        return check(features, rows)

    monkeypatch.setattr(engine, "_check_rows", note)
    assert engine.encode(frame) == pytest.approx(host.encode(frame), abs=1e-5)  # 7 views
    assert engine.encode(frame, range(5)) == pytest.approx(host.encode(frame)[:5], abs=1e-5)
    assert sizes == [4, 4, 3, 3]


def test_a_graph_of_one_size_takes_that_size_and_no_other(open_engine, host):
    engine = open_engine("frame.480x640.fp32.onnx")
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    expected = host.encode(frame)
    assert engine.encode(frame) == pytest.approx(expected, abs=1e-5)
    assert engine.encode(frame, [12, 0]) == pytest.approx(expected[[12, 0]], abs=1e-5)
    with pytest.raises(FrameError, match="takes frames of 480 x 640, and this one is 480 x 641"):
        engine.submit(np.zeros((480, 641, 3), np.uint8))


def test_a_provider_that_is_not_installed_is_an_error(open_engine):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(EngineError, match=r"has no CUDAExecutionProvider; .*maclip-edge\[gpu\]"):
        open_engine(name="onnxruntime-cuda")


def test_a_provider_that_does_not_load_is_an_error(open_engine, monkeypatch):
    """ONNX Runtime only warns then, and runs the next one: here the CPU's, instead of the one named."""
    real = onnxruntime.InferenceSession

    def open_other(model, options, providers, enable_fallback):
        return real(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_other)
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    with pytest.raises(EngineError, match="asked for, but ONNX Runtime runs CPUExecutionProvider"):
        open_engine(name="onnxruntime-cuda")


@pytest.mark.parametrize("size", [(224, 224), (370, 500), (500, 1100)])
def test_dense_blocks_of_one_window_are_the_exact_views(open_engine, host, size):
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    dense = open_engine(view_mode="dense", block_side=1)
    assert dense.view_mode == "dense"
    assert dense.encode(frame) == pytest.approx(host.encode(frame), abs=1e-5)


@pytest.mark.parametrize("side", [2, 3, 7])
def test_dense_features_come_in_the_published_order_and_near_the_exact_ones(
    open_engine, host, frame, side
):
    expected = host.encode(frame)
    engine = open_engine(view_mode="dense", block_side=side)
    pending = engine.submit(frame)
    features = pending.result()
    assert features.shape == expected.shape
    assert features[-1] == pytest.approx(expected[-1], abs=1e-5)  # the global view is exact
    distance = np.linalg.norm(features[:, None] - expected[None], axis=2)
    assert (distance.argmin(axis=1) == np.arange(len(expected))).all()


def test_dense_views_cost_the_pixels_that_neighbours_share_once(open_engine, frame):
    exact, dense = open_engine().submit(frame), open_engine(view_mode="dense").submit(frame)
    for pending in (exact, dense):
        pending.result()
        assert list(pending.time.stages) == ["views", "encode"]
    assert exact.time.pixels == 7 * 224**2
    assert dense.time.pixels == 352 * 480 + 224**2  # 2 x 3 windows, and the global view


def test_dense_views_are_for_resnets(bundle_of):
    with pytest.raises(EngineError, match="need a ResNet, .* this is a VisionTransformer"):
        Scorer(open_bundle(bundle_of("vit-small")), views="dense")


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
    monkeypatch.setattr(session_module.platform, "machine", lambda: machine)
    assert session_module.overflows_int8(tmp_path / "cpuinfo") is overflows


def test_threads_must_be_some(open_engine):
    with pytest.raises(UsageError, match="at least 1"):
        open_engine(threads=0)


def test_a_graph_that_onnxruntime_does_not_read_is_one_line(small_bundle, monkeypatch):
    monkeypatch.setattr(type(small_bundle), "read_unverified", lambda self, file: b"no graph")
    monkeypatch.setattr(type(small_bundle), "verify", lambda self, file, data: None)
    with pytest.raises(EngineError, match="cannot run it with CPUExecutionProvider") as caught:
        OnnxRuntimeEngine(small_bundle, get_file(small_bundle, ENCODER))
    assert "\n" not in str(caught.value)


def test_a_graph_swapped_between_hashing_and_loading_is_not_run(
    small_bundle, monkeypatch, tmp_path
):
    """What is verified is what is loaded: the bytes are read once."""
    reads = []
    real = type(small_bundle).read_unverified
    monkeypatch.setattr(
        type(small_bundle), "read_unverified", lambda self, f: reads.append(f) or real(self, f)
    )
    OnnxRuntimeEngine(small_bundle, get_file(small_bundle, ENCODER))
    assert len(reads) == 1


def test_what_onnxruntime_prints_goes_to_the_log(open_engine, monkeypatch, capsys, caplog):
    session = onnxruntime.InferenceSession

    def open_session(*arguments, **options):
        print("EP Error ... Falling back")  # as 1.17 does where a provider's libraries do not load
        return session(*arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    with caplog.at_level("INFO"):
        open_engine().close()
    assert capsys.readouterr().out == ""
    assert "onnxruntime: EP Error ... Falling back" in caplog.text


def test_cuda_stands_behind_onnxruntimes_tensorrt_and_nothing_behind_cuda(small_bundle):
    half = get_file(small_bundle, "frame.any.fp16.onnx")
    (first, settings), (second, others) = session_module._list_providers(
        "onnxruntime-tensorrt", half, 1
    )
    assert (first, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert settings == {"device_id": "1", "trt_fp16_enable": "1"}
    assert others == {"device_id": "1", "use_tf32": "0"}
    assert len(session_module._list_providers("onnxruntime-cuda", half, 0)) == 1


def test_cudas_libraries_are_loaded_for_a_gpu_and_what_is_missing_goes_to_the_log(
    open_engine, monkeypatch, capsys, caplog
):
    def preload():
        print("Failed to load libcublas.so.13")

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    session_module._load_cuda_libraries.cache_clear()
    caplog.set_level("INFO")
    open_engine()
    assert "libcublas" not in caplog.text
    for _ in range(2):
        with pytest.raises(EngineError):  # the provider itself is not there
            open_engine(name="onnxruntime-cuda")
    assert caplog.text.count("Failed to load libcublas.so.13") == 1
    assert capsys.readouterr().out == ""
