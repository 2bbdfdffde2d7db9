"""Which graph or plan runs is decided in one place, with the reasons why not the others."""

import re
from dataclasses import replace

import pytest

from maclip_runtime import BundleError, EngineError, Scorer, UsageError, open_bundle
from maclip_runtime.bundle.manifest import PlanOrigin
from maclip_runtime.engines import select
from maclip_runtime.engines.driver import Driver, Gpu
from maclip_runtime.engines.select import list_candidates, select_engine
from maclip_runtime.vocabulary import ENGINES

GPUS = (Gpu("RTX 3090", "86", 24 * 10**9), Gpu("RTX 4090", "89", 24 * 10**9))


@pytest.fixture
def with_gpus(monkeypatch):
    """A machine with two GPUs, both TensorRTs and every provider, in so far as it is asked for them."""
    monkeypatch.setattr(select, "find_driver", lambda: Driver((13, 0), GPUS))
    monkeypatch.setattr(select, "check_provider", lambda engine: None)
    monkeypatch.setattr(
        select, "import_library", lambda name: type("trt", (), {"__version__": "10.3"})
    )


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(select, "find_driver", lambda: None)


def with_plans(bundle, *graphs, capability="86"):
    """The bundle as if plans of these graphs had been built for an RTX 3090."""
    files = {file.path: file for file in bundle.manifest.files}
    plans = []
    for name in graphs:
        graph = files[name]
        origin = PlanOrigin(
            "tensorrt-rtx", "10.3", (capability,), "any", name, graph.sha256, profile={}
        )
        plans.append(replace(graph, path=f"{name}.plan", plan=origin))
    files = (*bundle.manifest.files, *plans)
    return replace(bundle, manifest=replace(bundle.manifest, files=files))


def runnable(candidates):
    return [(c.engine, c.file.path) for c in candidates if c.fault is None]


def test_the_cpu_runs_the_float32_encoder(small_bundle, without_gpu):
    assert runnable(list_candidates(small_bundle)) == [
        ("onnxruntime-cpu", "image_encoder.fp32.onnx")
    ]


def test_a_gpu_provider_runs_the_half_precision_frame_graph_for_any_size(small_bundle, with_gpus):
    (found,) = runnable(list_candidates(small_bundle, "onnxruntime-cuda"))
    assert found[1] == "frame.any.fp16.onnx"
    (found,) = runnable(list_candidates(small_bundle, "onnxruntime-cuda", precision="fp32"))
    assert found[1] == "frame.any.fp32.onnx"


def test_a_gpu_provider_runs_the_encoder_where_there_is_no_frame_graph(bundle_of, with_gpus):
    (found,) = runnable(list_candidates(open_bundle(bundle_of("rn50")), "onnxruntime-cuda"))
    assert found[1] == "image_encoder.fp16.onnx"


def test_auto_tries_plans_before_providers_before_the_cpu(small_bundle, with_gpus):
    bundle = with_plans(small_bundle, "frame.480x640.fp16.onnx", "frame.any.fp16.onnx")
    assert [engine for engine, _ in runnable(list_candidates(bundle))] == [
        "tensorrt-rtx", "tensorrt-rtx",
        "onnxruntime-tensorrt-rtx", "onnxruntime-cuda", "onnxruntime-cpu",
    ]  # fmt: skip
    (first, second, *_) = runnable(list_candidates(bundle))
    assert first[1] == "frame.any.fp16.onnx.plan"  # any size before one
    assert second[1] == "frame.480x640.fp16.onnx.plan"


def test_a_dense_plan_is_served_as_dense_and_never_as_exact(small_bundle, with_gpus):
    bundle = with_plans(small_bundle, "dense.any.fp16.onnx")
    exact = list(list_candidates(bundle, "tensorrt-rtx"))
    assert [c.file for c in exact] == [None]
    assert "no tensorrt-rtx plan of a frame graph for exact views" in str(exact[0].fault)
    (dense,) = list_candidates(bundle, "tensorrt-rtx", views="dense")
    assert (dense.file.path, dense.view_mode, dense.fault) == (
        "dense.any.fp16.onnx.plan", "dense", None,
    )  # fmt: skip


def test_a_missing_dense_plan_is_built_from_the_dense_graph(small_bundle, with_gpus):
    (missing,) = list_candidates(small_bundle, "tensorrt", views="dense")
    assert 'maclip build .* engine="tensorrt" graph="dense' in re.sub(
        r"build \S+", "build .*", str(missing.fault)
    )
    files = [f for f in small_bundle.manifest.files if f.role != "dense_frame_graph"]
    bundle = replace(small_bundle, manifest=replace(small_bundle.manifest, files=tuple(files)))
    (missing,) = list_candidates(bundle, "tensorrt", views="dense")
    assert 'has no dense frame graph; export the bundle with dense="any"' in str(missing.fault)


def test_a_gpu_provider_runs_a_dense_graph_in_chunks_before_blocks(small_bundle, with_gpus):
    (found,) = runnable(list_candidates(small_bundle, "onnxruntime-cuda", views="dense"))
    assert found[1] == "dense.any.fp16.onnx"
    files = tuple(
        replace(file, chunked=file.chunked and file.role != "dense_frame_graph")
        for file in small_bundle.manifest.files
    )
    bundle = replace(small_bundle, manifest=replace(small_bundle.manifest, files=files))
    (found,) = runnable(list_candidates(bundle, "onnxruntime-cuda", views="dense"))
    assert found[1] == "image_encoder.fp16.onnx"  # one that takes the whole frame is for its plan
    (found,) = runnable(list_candidates(small_bundle, "onnxruntime-cpu", views="dense"))
    assert found[1] == "image_encoder.fp32.onnx"


def taking(bundle, pixel_format, *names):
    """The bundle as if these graphs, and plans of them, took frames of another pixel format."""
    files = (
        replace(file, pixel_format=pixel_format) if file.path.startswith(names) else file
        for file in bundle.manifest.files
    )
    return replace(bundle, manifest=replace(bundle.manifest, files=tuple(files)))


@pytest.mark.parametrize("pixel_format", ["bgr24", "rgba", "nv12"])
def test_a_graph_or_plan_for_another_pixel_format_never_runs_as_rgb(
    small_bundle, with_gpus, pixel_format
):
    plans = ("frame.any.fp16.onnx", "frame.480x640.fp16.onnx", "dense.any.fp16.onnx")
    bundle = taking(with_plans(small_bundle, *plans), pixel_format, "frame.", "dense.")
    for views in ("exact", "dense"):
        for engine in ("auto", *ENGINES):
            for precision in (None, "fp16", "fp32"):
                found = list_candidates(bundle, engine, precision=precision, views=views)
                names = [c.file.path for c in found if c.file is not None]
                assert not [name for name in names if not name.startswith("image_encoder")]


@pytest.mark.parametrize("pixel_format", ["bgr24", "rgba", "nv12"])
def test_a_frame_of_another_pixel_format_runs_in_its_own_graphs_and_in_no_other(
    small_bundle, with_gpus, pixel_format
):
    bundle = with_plans(small_bundle, "frame.any.fp16.onnx", "frame.any.fp32.onnx")
    bundle = with_plans(bundle, "image_encoder.fp16.onnx", "frame.480x640.fp16.onnx")
    bundle = taking(bundle, pixel_format, "frame.any.fp16", "frame.480x640")
    assert runnable(list_candidates(bundle, pixel_format=pixel_format)) == [
        ("tensorrt-rtx", "frame.any.fp16.onnx.plan"),
        ("tensorrt-rtx", "frame.480x640.fp16.onnx.plan"),
        ("onnxruntime-tensorrt-rtx", "frame.any.fp16.onnx"),
        ("onnxruntime-cuda", "frame.any.fp16.onnx"),
        ("onnxruntime-cpu", "frame.480x640.fp32.onnx"),
    ]


def test_a_missing_plan_for_another_pixel_format_is_built_from_its_graph(small_bundle, with_gpus):
    bundle = taking(small_bundle, "nv12", "frame.any.fp16")
    (missing,) = list_candidates(bundle, "tensorrt-rtx", pixel_format="nv12")
    assert 'graph="frame.any.fp16.onnx"' in str(missing.fault)


def test_plans_of_other_graphs_are_no_candidates(small_bundle, with_gpus):
    bundle = with_plans(small_bundle, "score.any.fp16.onnx", "text_encoder.fp32.onnx")
    assert runnable(list_candidates(bundle, "tensorrt-rtx")) == []


def test_an_encoders_plan_comes_after_those_of_frame_graphs_and_is_never_dense(
    small_bundle, with_gpus
):
    names = ("image_encoder.fp16.onnx", "frame.480x640.fp16.onnx")
    bundle = with_plans(small_bundle, *names)
    assert runnable(list_candidates(bundle, "tensorrt-rtx")) == [
        ("tensorrt-rtx", f"{name}.plan") for name in reversed(names)
    ]
    assert runnable(list_candidates(bundle, "tensorrt-rtx", views="dense")) == []


def test_a_plan_fits_the_device_that_was_asked_for(small_bundle, with_gpus):
    bundle = with_plans(small_bundle, "frame.any.fp16.onnx")
    assert runnable(list_candidates(bundle, "tensorrt-rtx", device=0))
    (other,) = list_candidates(bundle, "tensorrt-rtx", device=1)
    assert "built for compute capability 86, and RTX 4090 has 89" in str(other.fault)
    (missing,) = list_candidates(bundle, "tensorrt-rtx", device=2)
    assert "device 2: this machine has GPUs 0 to 1" in str(missing.fault)


def test_a_device_is_never_the_cpu(small_bundle, without_gpu):
    with pytest.raises(UsageError, match="device 0 is a GPU's number"):
        select_engine(small_bundle, device=0)


def test_auto_tries_the_next_where_one_does_not_open(small_bundle, with_gpus, monkeypatch):
    bundle = with_plans(small_bundle, "frame.any.fp16.onnx")
    real = select.open_candidate

    def open_cpu_only(bundle, candidate, **options):
        if candidate.engine == "onnxruntime-cpu":
            return real(bundle, candidate, **options)
        raise EngineError(f"{candidate.engine} does not load")

    monkeypatch.setattr(select, "open_candidate", open_cpu_only)
    selection = select_engine(bundle)
    assert selection.engine.name == "onnxruntime-cpu"
    assert [c.engine for c in selection.passed_over] == list(ENGINES[:-1])
    assert "tensorrt-rtx does not load" in str(selection.passed_over[1].fault)


def test_auto_leaves_onnxruntimes_tensorrt_out_and_says_so(small_bundle, with_gpus):
    (left_out,) = (c for c in list_candidates(small_bundle) if c.engine == "onnxruntime-tensorrt")
    assert "is not taken by itself: it builds its engines while frames wait" in str(left_out.fault)
    assert 'ask for it with engine="onnxruntime-tensorrt"' in str(left_out.fault)
    assert runnable(list_candidates(small_bundle, "onnxruntime-tensorrt"))


def test_auto_goes_on_where_a_provider_was_compiled_in_and_does_not_load(
    small_bundle, with_gpus, monkeypatch
):
    """As onnxruntime-gpu without its libraries: it falls back to the CPU by itself, and we do not."""
    import onnxruntime

    compiled_in = [
        "NvTensorRTRTXExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]
    tried = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, data, options, providers, **settings):
            (provider, _), *_ = providers
            tried.append(provider)
            if provider == "CUDAExecutionProvider":
                raise RuntimeError("libcudnn.so.9: cannot open shared object file")
            super().__init__(data, options, providers=["CPUExecutionProvider"], **settings)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: compiled_in)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    selection = select_engine(small_bundle)
    assert tried == compiled_in
    assert selection.engine.name == "onnxruntime-cpu"
    faults = {c.engine: str(c.fault) for c in selection.passed_over}
    assert "ONNX Runtime runs CPUExecutionProvider" in faults["onnxruntime-tensorrt-rtx"]
    assert "libcudnn.so.9: cannot open" in faults["onnxruntime-cuda"]


def test_an_engine_asked_for_by_name_runs_or_is_an_error(small_bundle, with_gpus, monkeypatch):
    def fail(bundle, candidate, **options):
        raise EngineError(f"{candidate.engine} does not load")

    monkeypatch.setattr(select, "open_candidate", fail)
    with pytest.raises(EngineError, match="onnxruntime-cuda does not load"):
        select_engine(small_bundle, "onnxruntime-cuda")


def test_several_plans_that_do_not_fit_are_all_named(small_bundle, with_gpus):
    bundle = with_plans(small_bundle, "frame.any.fp16.onnx", "frame.any.fp32.onnx", capability="75")
    with pytest.raises(EngineError, match="fp16.*does not fit.*fp32.*does not fit.*maclip build"):
        select_engine(bundle, "tensorrt-rtx")


def test_a_precision_that_the_bundle_lacks_is_said(without_gpu):
    with pytest.raises(BundleError, match="no image encoder in fp16; .*precision=.fp32,fp16"):
        Scorer("demo", precision="fp16")


@pytest.mark.parametrize(
    "settings", [{"engine": "gpu"}, {"views": "Dense"}, {"precision": "half"}, {"preset": "447"}]
)
def test_unknown_settings_are_refused(settings):
    (value,) = settings.values()
    with pytest.raises(UsageError, match=f"unknown .* {value!r}; use one of"):
        Scorer("demo", **settings)
