"""Model repositories without a server: what is written, what is refused, and that nothing is left half."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from maclip_runtime import BundleError, UsageError, open_bundle
from maclip_runtime.bundle.manifest import PlanOrigin
from maclip_runtime.bundle.staging import add_file
from maclip_runtime.errors import OutputError
from maclip_runtime.serving.graphs import list_left_out
from maclip_runtime.serving.repository import write_repository
from maclip_runtime.serving.settings import ServingSettings

DTYPES = {"tensor(float)": "TYPE_FP32", "tensor(uint8)": "TYPE_UINT8"}


def read_configs(repository: Path) -> dict:
    """The configurations by model, as Triton's own messages; ParseError for what is none."""
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    configs = {}
    for path in sorted(repository.glob("*/config.pbtxt")):
        text = path.read_text(encoding="utf-8")
        configs[path.parent.name] = text_format.Parse(text, model_config_pb2.ModelConfig())
    return configs


def list_ports(ports) -> dict[str, tuple[str, list[int]]]:
    from tritonclient.grpc.model_config_pb2 import DataType

    return {port.name: (DataType.Name(port.data_type), list(port.dims)) for port in ports}


def get_kind(config) -> str:
    (group,) = config.instance_group
    return group.Kind.Name(group.kind)


@pytest.fixture
def bundle_with_plans(bundle_of, tmp_path):
    """The small ResNet with plans in name: their bytes are none, which only a GPU's server would see."""
    folder = tmp_path / "planned.maclip"
    shutil.copytree(bundle_of("rn-small"), folder)
    bundle = open_bundle(folder)
    graphs = {file.path: file for file in bundle.manifest.files}

    def add(graph, name, library, capabilities, profile):
        origin = PlanOrigin(library, "10.3.0", capabilities, "A GPU", graph, "", profile)
        add_file(bundle, replace(graphs[graph], path=name, plan=origin), name.encode())

    views = {"pixels": tuple((views, 3, 224, 224) for views in (1, 12, 24))}
    frames = {"frame": ((224, 224, 3), (480, 640, 3), (1080, 1920, 3))}
    add("image_encoder.fp16.onnx", "encoder.86.plan", "tensorrt", ("86",), views)
    add("image_encoder.fp16.onnx", "encoder.120.plan", "tensorrt", ("120",), views)
    add("score.any.fp16.onnx", "score.86.plan", "tensorrt", ("86",), frames)
    add("frame.any.fp16.onnx", "frame.86.plan", "tensorrt", ("86",), frames)
    add("image_encoder.fp16.onnx", "encoder.rtx.plan", "tensorrt-rtx", (), views)
    return open_bundle(folder)


@pytest.mark.parametrize("arch", ["rn-small", "vit-small"])
@pytest.mark.parametrize("device", ["auto", "cpu", "gpu"])
def test_every_configuration_says_what_its_graph_takes_and_gives(bundle_of, arch, device, tmp_path):
    import onnxruntime

    repository = tmp_path / "models"
    bundle = open_bundle(bundle_of(arch))
    write_repository(bundle, repository, ServingSettings(device=device))
    configs = read_configs(repository)
    assert list(configs) == [
        "maclip_encoder",
        "maclip_picture",
        "maclip_score",
        "maclip_score_480x640",
    ]
    for name, config in configs.items():
        assert config.name == name
        assert config.version_policy.latest.num_versions == 1
        assert {path.name for path in (repository / name).iterdir()} == {"1", "config.pbtxt"}
    kind = {"auto": "KIND_AUTO", "cpu": "KIND_CPU", "gpu": "KIND_GPU"}[device]
    for name in ("maclip_encoder", "maclip_score", "maclip_score_480x640"):
        config = configs[name]
        assert config.backend == "onnxruntime"
        assert get_kind(config) == kind
        session = onnxruntime.InferenceSession(
            repository / name / "1" / config.default_model_filename
        )
        batch = [-1] if config.max_batch_size else []
        for ports, tensors in (
            (config.input, session.get_inputs()),
            (config.output, session.get_outputs()),
        ):
            declared = list_ports(ports)
            assert list(declared) == [tensor.name for tensor in tensors]
            for tensor in tensors:
                dtype, dimensions = declared[tensor.name]
                assert dtype == DTYPES[tensor.type]
                have = [length if isinstance(length, int) else -1 for length in tensor.shape]
                # A graph that takes any size, as a dense ResNet's encoder, takes the configuration's too.
                want = batch + dimensions
                assert len(have or [1]) == len(want)
                assert all(a in (b, -1) for a, b in zip(have or [1], want, strict=True)), name


def test_outputs_have_exactly_the_graphs_shape(bundle_of, tmp_path):
    # Triton's onnxruntime backend takes no other: of outputs every dimension must be the graph's own.
    import onnxruntime

    write_repository(open_bundle(bundle_of("rn-small")), tmp_path / "models", ServingSettings())
    for name, config in read_configs(tmp_path / "models").items():
        if config.backend != "onnxruntime":
            continue
        session = onnxruntime.InferenceSession(tmp_path / "models" / name / "1" / "model.onnx")
        for tensor, port in zip(session.get_outputs(), config.output, strict=True):
            have = [length if isinstance(length, int) else -1 for length in tensor.shape] or [1]
            assert have == ([-1] if config.max_batch_size else []) + list(port.dims)


def test_the_encoder_joins_requests_and_is_warm_before_it_is_ready(bundle_of, tmp_path):
    settings = ServingSettings(batch=12, delay=700, queue=50, instances=3)
    write_repository(open_bundle(bundle_of("rn-small")), tmp_path / "models", settings)
    encoder = read_configs(tmp_path / "models")["maclip_encoder"]
    assert encoder.max_batch_size == 12
    assert encoder.dynamic_batching.max_queue_delay_microseconds == 700
    # What the picture model's own requests may add to it: two chunks for each picture under way.
    assert encoder.dynamic_batching.default_queue_policy.max_queue_size == 50 + 3 * 2
    assert [warmup.batch_size for warmup in encoder.model_warmup] == [1, 12]
    assert list(encoder.model_warmup[0].inputs["pixels"].dims) == [3, 224, 224]


def test_the_picture_model_has_bounded_queue_and_time_outs_and_its_settings(bundle_of, tmp_path):
    settings = ServingSettings(
        name="gate", preset="448", queue=9, timeout=2.5, instances=3, largest_picture=1000
    )
    write_repository(open_bundle(bundle_of("rn-small")), tmp_path / "models", settings)
    picture = read_configs(tmp_path / "models")["gate_picture"]
    assert picture.backend == "python"
    assert picture.instance_group[0].count == 3
    policy = picture.dynamic_batching.default_queue_policy
    assert (policy.max_queue_size, policy.default_timeout_microseconds) == (9, 2_500_000)
    assert policy.TimeoutAction.Name(policy.timeout_action) == "REJECT"
    assert {name: value.string_value for name, value in picture.parameters.items()} == {
        "encoder": "gate_encoder",
        "encoder_batch": "32",
        "preset": "448",
        "exif_orientation": "false",
        "largest_picture": "1000",
    }


def test_float32_stays_float32_on_gpus(bundle_of, tmp_path):
    write_repository(open_bundle(bundle_of("rn-small")), tmp_path / "models", ServingSettings())
    for name, config in read_configs(tmp_path / "models").items():
        if config.backend == "onnxruntime":
            accelerators = config.optimization.execution_accelerators
            (cuda,) = accelerators.gpu_execution_accelerator
            assert (cuda.name, dict(cuda.parameters)) == ("cuda", {"use_tf32": "0"}), name


def test_threads_reach_the_graphs(bundle_of, tmp_path):
    settings = ServingSettings(device="cpu", threads=3)
    write_repository(open_bundle(bundle_of("rn-small")), tmp_path / "models", settings)
    encoder = read_configs(tmp_path / "models")["maclip_encoder"]
    assert encoder.parameters["intra_op_thread_count"].string_value == "3"


def test_gpus_get_half_precision_where_the_bundle_has_it(bundle_of, tmp_path):
    bundle = open_bundle(bundle_of("rn-small"))
    models = write_repository(bundle, tmp_path / "gpu", ServingSettings(device="gpu"))
    assert [model.runs for model in models[1:]] == [
        "image_encoder.fp16.onnx",
        "score.any.fp16.onnx",
        "score.480x640.fp16.onnx",
    ]
    models = write_repository(open_bundle("demo"), tmp_path / "demo", ServingSettings(device="gpu"))
    assert [model.runs for model in models] == [
        "pictures, by maclip_encoder",
        "image_encoder.fp32.onnx",
    ]


def test_plans_become_models_of_the_tensorrt_backend(bundle_with_plans, tmp_path):
    write_repository(bundle_with_plans, tmp_path / "models", ServingSettings(device="gpu"))
    configs = read_configs(tmp_path / "models")
    encoder = configs["maclip_encoder_tensorrt"]
    assert encoder.backend == "tensorrt"
    assert get_kind(encoder) == "KIND_GPU"
    assert encoder.max_batch_size == 24  # as many views as the plan takes
    assert dict(encoder.cc_model_filenames) == {"8.6": "model.86.plan", "12.0": "model.120.plan"}
    version = tmp_path / "models" / "maclip_encoder_tensorrt" / "1"
    assert version.joinpath("model.86.plan").read_bytes() == b"encoder.86.plan"
    assert version.joinpath("model.120.plan").read_bytes() == b"encoder.120.plan"
    score = configs["maclip_score_tensorrt"]
    assert list_ports(score.input) == {"frame": ("TYPE_UINT8", [-1, -1, 3])}
    assert list_ports(score.output)["attributes"] == ("TYPE_FP32", [5])
    picture = configs["maclip_picture"].parameters
    assert picture["encoder"].string_value == "maclip_encoder_tensorrt"
    assert picture["encoder_batch"].string_value == "24"
    assert "maclip_encoder" in configs  # the graph's, beside it


def test_without_a_gpu_there_are_no_models_of_plans(bundle_with_plans, tmp_path):
    settings = ServingSettings(device="cpu", precision="fp16")
    write_repository(bundle_with_plans, tmp_path / "models", settings)
    configs = read_configs(tmp_path / "models")
    assert {config.backend for config in configs.values()} == {"onnxruntime", "python"}
    assert configs["maclip_picture"].parameters["encoder"].string_value == "maclip_encoder"


def test_plans_that_triton_cannot_run_are_named(bundle_with_plans, maclip, tmp_path):
    gpu = ServingSettings(device="gpu")
    frame, rtx = reasons = list_left_out(bundle_with_plans, gpu)
    assert frame.startswith("frame.86.plan is left out: Triton takes plans of the image encoder")
    assert rtx == "encoder.rtx.plan is left out: Triton has no backend for tensorrt-rtx"
    output = ("--output", tmp_path / "models", "--device", "gpu")
    done = maclip("triton", bundle_with_plans.path, *output)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [f"maclip: {reason}" for reason in reasons]


def test_plans_that_the_settings_leave_out_are_named(bundle_with_plans):
    *plans, _, _ = list_left_out(bundle_with_plans, ServingSettings())
    assert plans == [
        f"{name} is left out: it is in fp16, and the models in fp32; see --precision"
        for name in ("encoder.86.plan", "encoder.120.plan", "score.86.plan")
    ]
    *plans, _, _ = list_left_out(bundle_with_plans, ServingSettings(device="cpu"))
    assert plans[0] == "encoder.86.plan is left out: it needs a GPU"


def test_the_command_lists_the_models_it_wrote(maclip, bundle_of, tmp_path):
    done = maclip(
        "triton", bundle_of("rn-small"), "--output", tmp_path / "a" / "models", "--name", "rn",
        "--model-version", 7,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line.split()[:3] for line in done.stdout.splitlines()] == [
        ["rn_picture", "python", "pictures,"],
        ["rn_encoder", "onnxruntime", "image_encoder.fp32.onnx"],
        ["rn_score", "onnxruntime", "score.any.fp32.onnx"],
        ["rn_score_480x640", "onnxruntime", "score.480x640.fp32.onnx"],
    ]
    assert (tmp_path / "a" / "models" / "rn_encoder" / "7" / "model.onnx").is_file()


@pytest.mark.parametrize("there", ["file", "folder", "empty folder", "dangling link"])
def test_nothing_is_overwritten(there, maclip, tmp_path):
    output = tmp_path / "models"
    if there == "file":
        output.write_text("mine")
    elif there == "dangling link":
        output.symlink_to(tmp_path / "nowhere")
    else:
        output.mkdir()
        if there == "folder":
            (output / "mine").write_text("mine")
    done = maclip("triton", "demo", "--output", output)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"maclip: {output}: exists already; choose another place, or move it away\n"
    )
    assert list(tmp_path.iterdir()) == [output]


def test_a_damaged_bundle_leaves_nothing(bundle_of, tmp_path):
    damaged = tmp_path / "damaged.maclip"
    shutil.copytree(bundle_of("rn-small"), damaged)
    graph = damaged / "score.480x640.fp32.onnx"  # the last one that is copied
    data = bytearray(graph.read_bytes())
    data[-1] ^= 1
    graph.write_bytes(data)
    with pytest.raises(BundleError, match=r"score\.480x640\.fp32\.onnx: checksum differs"):
        write_repository(open_bundle(damaged), tmp_path / "models", ServingSettings())
    assert list(tmp_path.iterdir()) == [damaged]


def test_what_appears_meanwhile_is_not_replaced(tmp_path, monkeypatch):
    import maclip_runtime.serving.repository as repository

    def copy_late(bundle, destination):
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "theirs").write_text("theirs")

    monkeypatch.setattr(repository, "_copy_head", copy_late)
    with pytest.raises(OutputError, match="models: cannot be written"):
        write_repository(open_bundle("demo"), tmp_path / "models", ServingSettings())
    assert [path.name for path in tmp_path.rglob("*")] == ["models", "theirs"]


def test_a_precision_that_the_bundle_lacks_is_refused(tmp_path):
    with pytest.raises(BundleError, match="has no image encoder in fp16"):
        write_repository(
            open_bundle("demo"), tmp_path / "models", ServingSettings(precision="fp16")
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "../up", "a/b", "-a", "a b"])
def test_a_name_that_is_no_folders_is_refused(name):
    with pytest.raises(UsageError, match="cannot begin a model's name"):
        ServingSettings(name=name)


def test_without_tritonclient_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tritonclient.grpc", None)
    with pytest.raises(UsageError, match=r"pip install 'maclip-edge\[triton\]'"):
        write_repository(open_bundle("demo"), tmp_path / "models", ServingSettings())
    assert not list(tmp_path.iterdir())


def test_the_head_goes_with_its_signature(maclip, tmp_path):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    private = Ed25519PrivateKey.generate()
    key, public = tmp_path / "key.pem", tmp_path / "key.pub"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    bundle = tmp_path / "signed.maclip"
    shutil.copytree(open_bundle("demo").path, bundle)
    trusted = {"MACLIP_TRUSTED_KEYS": str(public)}
    refused = maclip("triton", bundle, "--output", tmp_path / "models", **trusted)
    assert refused.returncode == 2
    assert maclip("sign", bundle, "--key", key).returncode == 0
    done = maclip("triton", bundle, "--output", tmp_path / "models", **trusted)
    assert done.returncode == 0, done.stderr
    head = tmp_path / "models" / "maclip_picture" / "1" / "bundle"
    assert {path.name for path in head.iterdir()} == {
        "manifest.json",
        "manifest.json.sig",
        "prompts.npz",
    }


def test_the_picture_model_needs_neither_torch_nor_an_engine():
    code = (
        "import sys, maclip_runtime.serving.picture_model\n"
        "print({'torch', 'onnxruntime', 'tritonclient', 'typer'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
