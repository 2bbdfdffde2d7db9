"""Checkpoints load from every source, in float32, with the right activation; nothing else loads."""

import pickle
import zipfile

import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU
from safetensors.torch import save_file

from maclip_export.checkpoints import load_file, load_named, read_state_dict
from maclip_export.errors import CheckpointError
from maclip_runtime.bundle.bundle import hash_file

SETTINGS = ("input_resolution", "context_length", "vocab_size")


def count_quick_gelus(model):
    towers = (model.visual, model.transformer)
    return [sum(isinstance(m, QuickGELU) for m in tower.modules()) for tower in towers]


def test_architecture_is_read_from_the_shapes(checkpoint_file):
    small = load_file(checkpoint_file("rn-small"))
    assert small.architecture.image == "ModifiedResNet 1-1-1-1, width 16"
    assert small.architecture.features == 128
    vit = load_file(checkpoint_file("vit-small"))
    assert vit.architecture.image == "VisionTransformer 3 blocks, width 192, patch 32"
    assert vit.architecture.text == "Transformer 2 blocks, width 64"


@pytest.mark.parametrize(
    "name",
    [
        "RN50", "RN101", "RN50x4", "RN50x16", "RN50x64", "ViT-B-32", "ViT-B-16", "ViT-L-14",
        "ViT-L-14-336",
    ],
)  # fmt: skip
def test_every_clip_backbone_is_recognised_by_its_shapes(name):
    """open_clip's own model of each size, on the meta device: shapes, heads and nothing else."""
    from maclip_export.checkpoints import build_model

    config = open_clip.get_model_config(name)
    with torch.device("meta"):
        expected = open_clip.model.CLIP(**{**config, "quick_gelu": True})
        shapes = {k: torch.empty_like(v) for k, v in expected.state_dict().items()}
        built = build_model(shapes, quick_gelu=True)
    assert {k: v.shape for k, v in built.state_dict().items()} == {
        k: v.shape for k, v in shapes.items()
    }
    assert str(built) == str(expected)  # block counts, strides, activations
    heads = [m.num_heads for m in expected.modules() if hasattr(m, "num_heads")]
    assert [m.num_heads for m in built.modules() if hasattr(m, "num_heads")] == heads


def test_openai_layout_means_quick_gelu_in_both_towers(checkpoint_file):
    checkpoint = load_file(checkpoint_file("vit-small"))
    assert checkpoint.architecture.activation == "quick_gelu"
    assert count_quick_gelus(checkpoint.model) == [3, 2]
    told = load_file(checkpoint_file("vit-small"), "gelu")
    assert count_quick_gelus(told.model) == [0, 0]


def test_float32_weights_are_not_rounded_through_half(checkpoint_file, tmp_path):
    weights = torch.load(checkpoint_file("rn-small"), weights_only=True)
    weights["visual.conv1.weight"] += 1e-6  # no longer what half precision holds
    torch.save(weights, tmp_path / "fine.pt")
    loaded = load_file(tmp_path / "fine.pt").model.visual.conv1.weight
    assert (loaded == weights["visual.conv1.weight"]).all()
    assert (loaded != loaded.half().float()).any()


def test_half_weights_are_widened(checkpoint_file, tmp_path):
    weights = torch.load(checkpoint_file("rn-small"), weights_only=True)
    half = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    torch.save(half, tmp_path / "half.pt")
    model = load_file(tmp_path / "half.pt").model
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_torchscript_archives_load_as_openai_publishes_them(checkpoint_file, tmp_path):
    class Archive(torch.nn.Module):
        def __init__(self, weights):
            super().__init__()
            for key, value in weights.items():
                *parents, leaf = key.split(".")
                module = self
                for parent in parents:
                    if not hasattr(module, parent):
                        module.add_module(parent, torch.nn.Module())
                    module = getattr(module, parent)
                module.register_buffer(leaf, value)

        def forward(self, x):
            return x

    weights = torch.load(checkpoint_file("rn-small"), weights_only=True)
    torch.jit.script(Archive(weights)).save(tmp_path / "RN.pt")
    from_archive = load_file(tmp_path / "RN.pt").model.state_dict()
    from_dict = load_file(checkpoint_file("rn-small")).model.state_dict()
    assert all((from_archive[key] == from_dict[key]).all() for key in from_dict)


def test_provenance_is_recorded(checkpoint_file):
    path = checkpoint_file("rn-small")
    weights = load_file(path).weights
    assert (weights.name, weights.source, weights.sha256) == (
        "rn-small",
        "rn-small.pt",
        hash_file(path),
    )


@pytest.fixture(scope="module")
def rn50_weights(checkpoint_file):
    return torch.load(checkpoint_file("rn50"), weights_only=True)


def test_a_name_with_a_local_openai_file_gets_quick_gelu(checkpoint_file):
    checkpoint = load_named("RN50", str(checkpoint_file("rn50")))
    assert checkpoint.architecture.activation == "quick_gelu"
    assert checkpoint.weights.source == "rn50.pt"


def test_a_local_file_whose_origin_is_unknown_needs_the_activation(rn50_weights, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({k: v for k, v in rn50_weights.items() if k not in SETTINGS}, path)
    with pytest.raises(CheckpointError, match=r"say which: activation=.quick-gelu., or gelu"):
        load_named("RN50", str(path))
    assert load_named("RN50", str(path), "gelu").architecture.activation == "gelu"
    assert load_named("RN50", str(path), "quick-gelu").architecture.activation == "quick_gelu"
    assert load_named("RN50-quickgelu", str(path)).architecture.activation == "quick_gelu"


def test_an_openai_tag_gets_quick_gelu_although_its_model_does_not_say_so(
    checkpoint_file, monkeypatch
):
    """The hub cannot be reached here; its download is replaced by the local file, nothing else."""
    monkeypatch.setattr(
        open_clip, "download_pretrained", lambda config: str(checkpoint_file("rn50"))
    )
    checkpoint = load_named("RN50", "openai")
    assert not open_clip.get_model_config("RN50").get("quick_gelu")
    assert checkpoint.architecture.activation == "quick_gelu"
    assert checkpoint.weights.source == "tag openai"


def test_a_failed_download_says_what_to_do(monkeypatch):
    def fail(config):
        raise ConnectionError("no route to the hub\nand more")

    monkeypatch.setattr(open_clip, "download_pretrained", fail)
    with pytest.raises(
        CheckpointError, match=r"no route to the hub\); download them .* checkpoint="
    ):
        load_named("RN50", "openai")


@pytest.mark.parametrize(
    ("name", "pretrained", "message"),
    [
        ("RN49", "openai", "no model 'RN49'"),
        ("RN50", "nothing", "neither a file nor a tag of RN50 .*openai"),
        ("coca_ViT-B-32", "laion2b_s13b_b90k", "not laid out as CLIP"),
    ],
)
def test_names_that_do_not_exist(name, pretrained, message):
    with pytest.raises(CheckpointError, match=message):
        load_named(name, pretrained)


def test_weights_of_another_model_are_refused(checkpoint_file):
    with pytest.raises(CheckpointError, match="not the weights of RN101"):
        load_named("RN101", str(checkpoint_file("rn50")), "quick-gelu")


def run_on_load():
    raise AssertionError("pickled code was run")


class Payload:
    def __reduce__(self):
        return run_on_load, ()


def write_pickle(path):
    torch.save({"state_dict": Payload()}, path)


def write_old_pickle(path):
    path.write_bytes(pickle.dumps(Payload()))


def write_archive(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no checkpoint")


def write_truncated(path):
    torch.save({"weight": torch.zeros(10_000)}, path)
    path.write_bytes(path.read_bytes()[:-5_000])


NOT_CHECKPOINTS = {
    "missing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.touch(), "not readable|damaged"),
    "text": (lambda path: path.write_text("hello"), "not readable|damaged"),
    "truncated": (write_truncated, "not readable|damaged"),
    "other archive": (write_archive, "not readable|damaged"),
    "pickled code": (write_pickle, "never loaded"),
    "plain pickle": (write_old_pickle, "never loaded|not readable"),
    "list": (lambda path: torch.save([torch.zeros(2)], path), "not a state dict"),
    "another model": (
        lambda path: torch.save({"fc.weight": torch.zeros(2, 2)}, path),
        "not a CLIP checkpoint in OpenAI's layout",
    ),
}


@pytest.mark.parametrize("kind", NOT_CHECKPOINTS)
def test_files_that_are_no_checkpoint_are_refused_in_one_line(tmp_path, kind):
    write, message = NOT_CHECKPOINTS[kind]
    path = tmp_path / "clip.pt"
    write(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_file(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_checkpoints_of_wrappers_are_unwrapped(checkpoint_file, tmp_path):
    weights = torch.load(checkpoint_file("rn-small"), weights_only=True)
    wrapped = {f"module.{key}": value for key, value in weights.items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "w.pt")
    assert read_state_dict(tmp_path / "w.pt").keys() == weights.keys()
