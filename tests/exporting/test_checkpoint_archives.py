"""Archives of torch give their tensors and nothing else: no code runs, no size is taken on trust."""

import os
import pickle
import struct
import zipfile

import pytest
import torch

from maclip_export.checkpoints import load_file, read_state_dict
from maclip_export.errors import CheckpointError

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


class Block(torch.nn.Module):
    """A residual block as in OpenAI's text tower: its mask is an attribute, neither weight nor buffer."""

    def __init__(self, width):
        super().__init__()
        self.ln_1 = torch.nn.LayerNorm(width)
        self.mlp = torch.nn.Sequential(torch.nn.Linear(width, 4 * width), torch.nn.ReLU())
        self.attn_mask = torch.full((3, 3), float("-inf"))

    def forward(self, x):
        return self.mlp(self.ln_1(x)) + self.attn_mask.sum()


class Clip(torch.nn.Module):
    """OpenAI's layout in small: nested modules, buffers, weights used twice, and the three settings."""

    def __init__(self):
        super().__init__()
        self.visual = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4)
        )
        self.blocks = torch.nn.ModuleList(Block(8) for _ in range(2))
        self.logit_scale = torch.nn.Parameter(torch.ones([]) * 4.6)
        self.shared = torch.nn.Parameter(torch.randn(6, 2).t())  # not contiguous
        self.again = self.shared
        self.empty = torch.nn.Parameter(torch.empty(0, 3))
        for name, value in (("input_resolution", 224), ("context_length", 77), ("vocab_size", 49)):
            self.register_buffer(name, torch.tensor(value))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x * self.logit_scale


@pytest.fixture(scope="module")
def openai_archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("archives") / "clip.pt"
    torch.manual_seed(0)
    torch.jit.script(Clip().half()).save(path)
    return path


def test_a_torchscript_archive_gives_what_torch_gives_by_running_it(openai_archive):
    ours = read_state_dict(openai_archive)
    torchs = torch.jit.load(openai_archive).state_dict()
    assert ours.keys() == torchs.keys()
    assert {"input_resolution", "context_length", "vocab_size"} < ours.keys()
    for name, tensor in torchs.items():
        assert ours[name].dtype == (torch.float32 if tensor.is_floating_point() else tensor.dtype)
        assert torch.equal(ours[name], tensor.to(ours[name].dtype)), name


def test_a_traced_archive_is_read_too(tmp_path):
    clip = Clip()
    torch.jit.trace(clip.visual, torch.randn(1, 3, 8, 8)).save(tmp_path / "traced.pt")
    ours = read_state_dict(tmp_path / "traced.pt")
    torchs = torch.jit.load(tmp_path / "traced.pt").state_dict()
    assert ours.keys() == torchs.keys()
    assert all(torch.equal(ours[name], torchs[name]) for name in torchs)


def test_a_state_dict_gives_what_torch_gives(tmp_path):
    weights = {**Clip().state_dict(), "brain": torch.randn(4).bfloat16(), "tied": torch.zeros(9)}
    weights["part"] = weights["tied"][3:7]
    torch.save({"epoch": 3, "arguments": slice(1, 2), "state_dict": weights}, tmp_path / "run.pt")
    ours = read_state_dict(tmp_path / "run.pt")
    assert ours.keys() == weights.keys()
    assert all(torch.equal(ours[name], weights[name].to(ours[name].dtype)) for name in weights)


class WritesAFile(torch.nn.Module):
    """A module that writes a file when torch.jit.load restores it."""

    def __init__(self, path: str):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))
        self.path = path

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]):
        self.weight = state[0]
        self.path = state[1]
        self.training = state[2]
        torch.save(self.weight, self.path)

    def forward(self, x):
        return x + self.weight


def write_program(path, victim):
    torch.jit.script(WritesAFile(str(victim))).save(path)
    victim.unlink(missing_ok=True)


def test_code_in_an_archive_does_not_run(tmp_path):
    path, victim = tmp_path / "clip.pt", tmp_path / "written"
    write_program(path, victim)
    with pytest.raises(CheckpointError, match=r"code of its own.*trust_checkpoint=True lets torch"):
        read_state_dict(path)
    assert not victim.exists()


def test_code_in_an_archive_runs_where_it_is_trusted(tmp_path):
    path, victim = tmp_path / "clip.pt", tmp_path / "written"
    write_program(path, victim)
    try:
        torch.jit.load(path)
    except RuntimeError:
        pytest.skip("this torch refuses to restore modules by code of their own")
    victim.unlink(missing_ok=True)
    assert "weight" in read_state_dict(path, trust_checkpoint=True)


def rewrite(source, path, change):
    """Copy an archive, every file's content as `change(name, data)` gives it; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)


class Shell:
    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def call_shell(source, path):
    shell = Shell()
    shell.path = path.with_name("victim")
    rewrite(source, path, lambda n, d: pickle.dumps(shell, 2) if n.endswith("data.pkl") else d)


def call_shell_in_state_dict(source, path):
    shell = Shell()
    shell.path = path.with_name("victim")
    torch.save({"weight": torch.zeros(2), "more": shell}, path)


def nest_tuples(source, path):
    deep = b"\x80\x02}" + b")" + b"\x85" * 1_000_000 + b"K\x01s."
    rewrite(source, path, lambda n, d: deep if n.endswith("data.pkl") else d)


def change_a_length(source, path):
    def change(name, data):
        if name.endswith("data.pkl"):  # the convolution's 108 numbers become 200
            assert data.count(b"K\x6c") == 1
            return data.replace(b"K\x6c", b"K\xc8")
        return data

    rewrite(source, path, change)


def change_a_shape(source, path):
    def change(name, data):
        if name.endswith("data.pkl"):  # (4, 3, 3, 3) becomes (4, 3, 3, 9)
            assert data.count(b"(K\x04K\x03K\x03K\x03t") == 1
            return data.replace(b"(K\x04K\x03K\x03K\x03t", b"(K\x04K\x03K\x03K\x09t")
        return data

    rewrite(source, path, change)


def shorten_a_storage(source, path):
    rewrite(source, path, lambda n, d: d[:-2] if n.endswith("data/3") or len(d) == 216 else d)


def leave_a_storage_out(source, path):
    rewrite(source, path, lambda n, d: None if len(d) == 216 else d)


def compress_storages(source, path):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


def bomb(source, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clip/data.pkl", bytes(300_000_000))
        archive.writestr("clip/constants.pkl", b"")


def claim_length(source, path):
    """A stored file whose directory entry says that it has two gigabytes."""
    data = bytearray(source.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 2_000_000_000)
    path.write_bytes(data)


def link_names(source, path):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name.replace("data/", "data/../../../"))
            entry.external_attr = 0o120777 << 16  # a symbolic link
            new.writestr(entry, old.read(name))


def repeat_a_name(source, path):
    rewrite(source, path, lambda n, d: d)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"other")


def truncate(source, path):
    path.write_bytes(source.read_bytes()[:-200])


def truncate_the_pickle(source, path):
    rewrite(source, path, lambda n, d: d[:-40] if n.endswith("data.pkl") else d)


def use_a_large_memo(source, path):
    pickled = b"\x80\x02}r\xff\xff\xff\x7f."
    rewrite(source, path, lambda n, d: pickled if n.endswith("data.pkl") else d)


def close_a_circle(source, path):
    def change(name, data):
        if not name.endswith("data.pkl"):
            return data
        module, name = data[3:].split(b"\n")[:2]
        opened = b"\x80\x02c" + module + b"\n" + name + b"\n)\x81q\x00"
        return opened + b"}X\x01\x00\x00\x00ah\x00sb."

    rewrite(source, path, change)


HOSTILE = {
    call_shell: "without a module",
    call_shell_in_state_dict: "never loaded",
    nest_tuples: "neither text nor numbers",
    change_a_length: "type or length that is stated",
    change_a_shape: "beyond its storage",
    shorten_a_storage: "ends within a number|type or length that is stated",
    leave_a_storage_out: "is missing",
    compress_storages: "compressed",
    bomb: "300000000 bytes, above",
    claim_length: "longer inside than the whole archive|not readable",
    link_names: "is missing",
    repeat_a_name: "two files of one name",
    truncate: "neither a safetensors file nor a zip",
    truncate_the_pickle: "pickle",
    use_a_large_memo: "without a module",
    close_a_circle: "each other in a circle",
}


@pytest.mark.parametrize("attack", HOSTILE, ids=lambda attack: attack.__name__)
def test_hostile_archives_are_refused_in_one_line(openai_archive, tmp_path, attack):
    path = tmp_path / "clip.pt"
    attack(openai_archive, path)
    with pytest.raises(CheckpointError, match=HOSTILE[attack]) as caught:
        load_file(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).isprintable()
    assert [file.name for file in tmp_path.iterdir()] == ["clip.pt"]


def test_sizes_that_a_small_file_claims_take_no_memory(checkpoint_file, tmp_path):
    """A text tower of width 320,000 would have a terabyte of weights; its shapes fit in a megabyte."""
    weights = torch.load(checkpoint_file("rn-small"), weights_only=True)
    weights["ln_final.weight"] = torch.zeros(320_000)
    torch.save(weights, tmp_path / "clip.pt")
    with pytest.raises(CheckpointError, match=r"not a CLIP checkpoint .*is missing, or not \["):
        load_file(tmp_path / "clip.pt")


def test_files_from_before_zip_archives_need_trust(tmp_path):
    weights = {"weight": torch.arange(3.0)}
    torch.save(weights, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"since 1\.6\); load it where it is trusted"):
        read_state_dict(tmp_path / "old.pt")
    trusted = read_state_dict(tmp_path / "old.pt", trust_checkpoint=True)
    assert torch.equal(trusted["weight"], weights["weight"])
