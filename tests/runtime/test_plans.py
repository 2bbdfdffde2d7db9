"""Plans are built for real with TensorRT-RTX, which needs no GPU for it, and fitted to machines."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from operator import attrgetter
from types import SimpleNamespace

import pytest
from fake_gpu import FakeCudart, make_fake_tensorrt

from maclip_runtime import EngineError, Scorer, UsageError, open_bundle, plans
from maclip_runtime.engines.compatibility import check_compatibility, rebuild
from maclip_runtime.engines.driver import Driver, Gpu, find_driver
from maclip_runtime.engines.loading import load_plan
from maclip_runtime.plans import PlanOptions, build_plan, make_profile
from maclip_runtime.signals import Interrupted
from maclip_runtime.vocabulary import ENGINES

no_driver = pytest.mark.skipif(find_driver() is not None, reason="this machine has a GPU")

RTX_3090 = Gpu("RTX 3090", "86", 24_000_000_000, 82)
ORIN_64 = Gpu("Orin", "87", 65_900_000_000, 16)
ORIN_NX = Gpu("Orin", "87", 16_500_000_000, 8)
SIZES = ((224, 224), (480, 640), (600, 900))


@pytest.fixture(params=["rn-small", "vit-small"])
def bundle(request, bundle_of, tmp_path):
    return open_bundle(shutil.copytree(bundle_of(request.param), tmp_path / "b.maclip"))


def graph_of(bundle, name):
    (found,) = (file for file in bundle.manifest.files if file.path == name)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "image_encoder.fp32.onnx",
        "image_encoder.fp16.onnx",
        "frame.any.fp32.onnx",
        "frame.any.fp16.onnx",
        "frame.480x640.fp16.onnx",
        "score.any.fp16.onnx",
        "dense.480x640.fp16.onnx",
        "dense.any.fp16.onnx",
        "score.480x640.fp32.onnx",
    ],
)
def test_every_graph_builds_strongly_typed(rtx, bundle, name):
    if name.startswith("dense") and bundle.manifest.weights.name == "vit-small":
        return  # a ViT has no dense mode
    graph = graph_of(bundle, name)
    options = PlanOptions(
        make_profile(graph, SIZES, (4, 16)), compute_capabilities=["86"], workspace=1 << 30
    )
    phases = []
    plan = build_plan(bundle, graph, "tensorrt-rtx", options, lambda *step: phases.append(step))
    assert (bundle.path / plan.path).read_bytes()[:4] == b"vtrt"
    assert phases
    recorded = graph_of(open_bundle(bundle.path), plan.path)
    assert recorded == plan
    assert recorded.plan.graph_sha256 == graph.sha256
    assert (recorded.plan.version, recorded.plan.compute_capabilities) == (rtx, ("86",))
    kept = ("role", "view_mode", "chunked", "precision", "inputs", "outputs")
    assert all(getattr(recorded, name) == getattr(graph, name) for name in kept)
    assert bundle.locate(recorded)


def test_a_plan_is_portable_where_no_target_is_named(rtx, bundle):
    graph = graph_of(bundle, "frame.any.fp16.onnx")
    plan = build_plan(
        bundle, graph, "tensorrt-rtx", PlanOptions(make_profile(graph, SIZES, (4, 16)))
    )
    assert plan.plan.compute_capabilities == ()
    assert "portable" in plan.path
    # Again: replaced, not doubled.
    build_plan(bundle, graph, "tensorrt-rtx", PlanOptions(make_profile(graph, SIZES, (4, 16))))
    assert [f.path for f in open_bundle(bundle.path).manifest.files].count(plan.path) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compute_capabilities": ["87"]}, "builds for 75, 80, 86"),
        ({"version_compatible": True}, "neither version-compatible"),
        ({"workspace": 1}, "built no plan: .*larger workspace="),
    ],
)
def test_what_cannot_be_built_is_said_and_leaves_nothing(rtx, bundle, options, message):
    graph = graph_of(bundle, "frame.any.fp16.onnx")
    before = sorted(bundle.path.iterdir())
    profile = make_profile(graph, SIZES, (4, 16))
    with pytest.raises((UsageError, EngineError), match=message):
        build_plan(bundle, graph, "tensorrt-rtx", PlanOptions(profile, **options))
    assert sorted(bundle.path.iterdir()) == before


def test_shapes_out_of_order_are_refused(rtx, bundle):
    graph = graph_of(bundle, "frame.any.fp16.onnx")
    profile = make_profile(graph, SIZES, (16, 4))
    with pytest.raises((UsageError, EngineError, RuntimeError), match="smallest <= best|profile"):
        build_plan(bundle, graph, "tensorrt-rtx", PlanOptions(profile))


def test_an_interrupted_build_leaves_nothing(rtx, bundle):
    graph = graph_of(bundle, "frame.any.fp16.onnx")
    before = sorted(bundle.path.iterdir())

    def interrupt(*step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_plan(
            bundle,
            graph,
            "tensorrt-rtx",
            PlanOptions(make_profile(graph, SIZES, (4, 16))),
            interrupt,
        )
    assert sorted(bundle.path.iterdir()) == before


def test_a_signal_during_a_build_ends_it(rtx, bundle):
    def interrupt(number, frame):
        raise Interrupted(number)

    graph = graph_of(bundle, "frame.any.fp16.onnx")
    options = PlanOptions(make_profile(graph, SIZES, (4, 16)))
    before = sorted(bundle.path.iterdir())
    handler = signal.signal(signal.SIGTERM, interrupt)
    try:
        with pytest.raises(Interrupted):
            build_plan(
                bundle, graph, "tensorrt-rtx", options, lambda *step: signal.raise_signal(15)
            )
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert sorted(bundle.path.iterdir()) == before


@pytest.mark.parametrize("delay", [0, 0.02, 0.1])
def test_ctrl_c_is_not_swallowed_by_the_builder(rtx, rn_small_bundle, tmp_path, delay):
    bundle = shutil.copytree(rn_small_bundle, tmp_path / "b.maclip")
    before = sorted(bundle.iterdir())
    # Says when the building begins, so that the signal comes while it lasts.
    code = (
        "import sys, maclip_runtime.plans as plans\n"
        "compile = plans._compile\n"
        "def begin(*a):\n print('begun', flush=True)\n return compile(*a)\n"
        "plans._compile = begin\n"
        "from maclip_runtime.cli import main\n"
        "main()\n"
    )
    arguments = ["build", str(bundle), "--engine", "tensorrt-rtx"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    with pytest.raises(subprocess.TimeoutExpired):  # not yet ready: the signal comes amid the work
        process.wait(delay)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert (process.returncode, error) == (130, "maclip: ended by SIGINT\n")
    assert sorted(bundle.iterdir()) == before


def test_the_command_builds_the_half_precision_frame_graph(rtx, maclip, rn_small_bundle, tmp_path):
    bundle = shutil.copytree(rn_small_bundle, tmp_path / "b.maclip")
    done = maclip("build", bundle, "--engine", "tensorrt-rtx", "--compute-capability", "8.6")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"frame.any.fp16.tensorrt-rtx-{rtx}.sm86.plan" in done.stdout
    assert maclip("inspect", bundle).returncode == 0
    findings = json.loads(maclip("doctor", bundle, "--json").stdout)
    assert any(finding["name"] == "tensorrt-rtx, exact" for finding in findings)


def test_an_export_in_half_precision_builds_without_further_ado(rtx, maclip, tmp_path):
    from make_bundles import write_checkpoint

    checkpoint, bundle = write_checkpoint("vit-small", tmp_path / "vit.pt"), tmp_path / "b.maclip"
    done = maclip(
        "export", "--checkpoint", checkpoint, "--output", bundle, "--precision", "fp32,fp16"
    )
    assert done.returncode == 0, done.stderr
    done = maclip("build", bundle, "--engine", "tensorrt-rtx", "--compute-capability", "86")
    assert (done.returncode, done.stderr) == (0, "")
    assert "frame.any.fp16.tensorrt-rtx" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--graph", "nothing.onnx"], "no graph nothing.onnx; it has: "),
        (["--frames", "big"], "--frames big: not three sizes; give smallest, best and largest"),
        (["--frames", "1x1,1080x1920,b"], "--frames b: not a size; give height x width"),
        (["--views", "1"], "--views 1: not two numbers; give best and largest"),
    ],
)
def test_wrong_options_are_one_line(maclip, rn_small_bundle, arguments, message):
    done = maclip("build", rn_small_bundle, "--engine", "tensorrt-rtx", *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message in line


def test_a_bundle_without_a_frame_graph_says_how_to_get_one(maclip, bundle_of):
    done = maclip("build", bundle_of("rn50"), "--engine", "tensorrt-rtx")
    assert done.returncode == 2
    assert "export the bundle with --frame any" in done.stderr


@no_driver
def test_tensorrt_needs_a_gpu_to_build_and_says_so(bundle):
    graph = graph_of(bundle, "frame.any.fp16.onnx")
    with pytest.raises(EngineError, match='engine="tensorrt-rtx", which builds without one'):
        build_plan(bundle, graph, "tensorrt", PlanOptions({}))


@no_driver
@pytest.mark.parametrize("engine", ["tensorrt", "tensorrt-rtx", "onnxruntime-cuda"])
def test_an_engine_that_cannot_run_is_an_error_never_a_fallback(bundle, engine):
    with pytest.raises(EngineError, match='use engine="onnxruntime-cpu"'):
        Scorer(bundle, engine=engine)


@no_driver
def test_auto_takes_the_cpu_where_there_is_no_gpu(bundle):
    selection = Scorer(bundle).selection
    assert selection.engine.name == "onnxruntime-cpu"
    assert [other.engine for other in selection.passed_over] == list(ENGINES[:-1])
    assert all("no " in str(other.fault) for other in selection.passed_over)


@pytest.fixture
def plan(rtx, bundle):
    graph = graph_of(bundle, "frame.any.fp16.onnx")
    options = PlanOptions(make_profile(graph, SIZES, (4, 16)), compute_capabilities=["86"])
    return build_plan(bundle, graph, "tensorrt-rtx", options).plan


def library(version="1.7.1"):
    """The library's module, of a version, with the capabilities that the installed TensorRT-RTX serves."""
    import tensorrt_rtx

    return SimpleNamespace(__version__=version, ComputeCapability=tensorrt_rtx.ComputeCapability)


def test_a_plan_fits_the_gpu_and_version_it_was_built_for(rtx, bundle, plan):
    assert check_compatibility(plan, bundle, library(rtx), RTX_3090) is None


@pytest.mark.parametrize(
    ("plan_changes", "gpu_changes", "version", "message"),
    [
        ({}, {}, "9.9", "built by tensorrt-rtx .*, and 9.9 is installed"),
        ({}, {"compute_capability": "89"}, None, "capability 86, and RTX 3090 has 89"),
        ({"compute_capabilities": ()}, {"compute_capability": "75"}, None, "from .* 8.0 on"),
        ({"graph_sha256": "0"}, {}, None, "built from another frame.any.fp16.onnx"),
        ({"library": "tensorrt", "device": "Orin"}, {}, None, "built on Orin, and this is RTX"),
    ],
)
def test_a_plan_for_anything_else_is_refused_with_the_reason(
    rtx, bundle, plan, plan_changes, gpu_changes, version, message
):
    fault = check_compatibility(
        replace(plan, **plan_changes),
        bundle,
        library(version or rtx),
        replace(RTX_3090, **gpu_changes),
    )
    assert fault is not None
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(fault)


@no_driver
def test_the_library_itself_is_asked_about_a_plan_and_answers_in_one_line(rtx, bundle, plan):
    import tensorrt_rtx

    (entry,) = (file for file in open_bundle(bundle.path).manifest.files if file.plan)
    data = (bundle.path / entry.path).read_bytes()
    again = rebuild(bundle, "tensorrt-rtx")
    for content, reason in ((data, "CUDA"), (b"x" * len(data), "malformed engine")):
        with pytest.raises(EngineError, match=f"does not run here .*{reason}.*maclip build"):
            load_plan(content, entry, tensorrt_rtx, again)


def test_the_library_has_what_its_stand_in_has(rtx):
    """test_tensorrt_engine runs over a fake; its names are those of the real module."""
    import tensorrt_rtx

    fake = make_fake_tensorrt(FakeCudart(), {}, validity=(0, 0))
    for name, value in vars(fake).items():
        members = vars(value) if isinstance(value, SimpleNamespace) else {}
        for member in (name, *(f"{name}.{key}" for key in members)):
            assert attrgetter(member)(tensorrt_rtx) is not None
    for diagnosis in fake.EngineInvalidityDiagnostics:
        real = tensorrt_rtx.EngineInvalidityDiagnostics.__members__[diagnosis.name]
        assert int(real) == int(diagnosis)
    for kind, members in (
        ("Runtime", ("get_engine_validity", "engine_header_size", "engine_host_code_allowed")),
        ("IRuntimeConfig", ("create_runtime_cache", "set_runtime_cache")),
        ("IRuntimeCache", ("serialize", "deserialize")),
        ("IExecutionContext", ("is_stream_capturable", "set_device_memory", "set_input_shape")),
        ("IExecutionContext", ("set_tensor_address", "execute_async_v3")),
        ("ICudaEngine", ("create_runtime_config", "device_memory_size_v2")),
    ):
        assert all(hasattr(getattr(tensorrt_rtx, kind), member) for member in members)


def test_a_portable_plan_fits_the_gpus_that_the_library_serves(rtx, bundle, plan):
    portable = replace(plan, compute_capabilities=())

    def check(capability):
        gpu = replace(RTX_3090, compute_capability=capability)
        return check_compatibility(portable, bundle, library(rtx), gpu)

    for capability in ("80", "86", "89", "120"):
        assert check(capability) is None
    for capability in ("87", "90", "100"):  # Orin, H100, B200
        assert "tensorrt-rtx serves compute capability" in check(capability)
        assert f"has {capability}" in check(capability)


@pytest.mark.parametrize(
    ("built", "installed", "message"),
    [
        ("10.3.0", "10.3.0", None),
        ("10.3.0", "10.13.3.9", None),
        ("10.3.0", "11.4.0", None),  # NVIDIA: plans of 10 run in 11
        (
            "10.13.3.9",
            "10.3.0",
            "built by tensorrt 10.13.3.9, and 10.3.0 is installed, which is older",
        ),
        ("11.0.0", "10.16.1", "which is older"),
    ],
)
def test_version_compatible_plans_run_in_later_versions_never_in_earlier_ones(
    rtx, bundle, plan, built, installed, message
):
    compatible = replace(
        plan, library="tensorrt", device=RTX_3090.name, version=built, version_compatible=True
    )
    fault = check_compatibility(compatible, bundle, library(installed), RTX_3090)
    assert fault is None if message is None else message in fault
    fault = check_compatibility(
        replace(compatible, version_compatible=False), bundle, library(installed), RTX_3090
    )
    assert (fault is None) == (built == installed)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (ORIN_64, None),
        (replace(ORIN_64, memory=62_800_000_000), None),  # with more memory set aside
        (ORIN_NX, "Orin with 16 multiprocessors, and this one has 8"),
        (replace(ORIN_64, memory=32_900_000_000), "Orin with 66 GB, and this one has 33 GB"),
    ],
)
def test_modules_of_one_name_are_told_apart(rtx, bundle, plan, found, message):
    built = replace(
        plan,
        library="tensorrt",
        version="10.3.0",
        compute_capabilities=("87",),
        device=ORIN_64.name,
        multiprocessors=ORIN_64.multiprocessors,
        memory=ORIN_64.memory,
    )
    fault = check_compatibility(built, bundle, library("10.3.0"), found)
    assert fault is None if message is None else message in fault


def test_plans_of_modules_of_one_name_lie_side_by_side(rtx, bundle, monkeypatch):
    """TensorRT's compiling is stood in for; what is recorded of its GPU is not."""
    monkeypatch.setattr(plans, "import_library", lambda name: library("10.3.0"))
    monkeypatch.setattr(plans, "_compile", lambda *arguments: b"plan")
    graph = graph_of(bundle, "frame.any.fp16.onnx")
    built = []
    for gpu in (ORIN_64, ORIN_NX):
        monkeypatch.setattr(plans, "find_driver", lambda gpu=gpu: Driver((12, 6), (gpu,)))
        profile = make_profile(graph, SIZES, (4, 16))
        built.append(build_plan(open_bundle(bundle.path), graph, "tensorrt", PlanOptions(profile)))
    recorded = [file.plan for file in open_bundle(bundle.path).manifest.files if file.plan]
    assert recorded == [file.plan for file in built]
    assert [(plan.device, plan.multiprocessors, plan.memory) for plan in recorded] == [
        (gpu.name, gpu.multiprocessors, gpu.memory) for gpu in (ORIN_64, ORIN_NX)
    ]
