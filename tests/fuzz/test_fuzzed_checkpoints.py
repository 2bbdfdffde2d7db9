"""Whatever bytes a checkpoint is made of: its tensors, or a CheckpointError of one line."""

import io
import warnings
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maclip_export.checkpoints import load_file, read_state_dict
from maclip_export.errors import CheckpointError

SHORT = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x))


def save_state_dict():
    stream = io.BytesIO()
    torch.save(Small().half().state_dict(), stream)
    return stream.getvalue()


def save_torchscript():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(Small().half()).save_to_buffer()


def save_safetensors():
    from safetensors.torch import save

    return save(Small().state_dict())


KINDS = {
    "state dict": (save_state_dict(), "clip.pt"),
    "TorchScript": (save_torchscript(), "clip.pt"),
    "safetensors": (save_safetensors(), "clip.safetensors"),
}
CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(("set", "insert", "cut")), st.binary(max_size=8)),
    min_size=1,
    max_size=4,
)


def mutate(data, changes):
    data = bytearray(data)
    for place, kind, piece in changes:
        at = int(place * len(data))
        if kind == "insert":
            data[at:at] = piece
        elif kind == "cut":
            del data[at : at + 1 + len(piece)]
        else:
            data[at : at + len(piece)] = piece
    return bytes(data)


def check(path):
    """Read it every way; what is neither weights nor a refusal of one line fails the test."""
    for read in (read_state_dict, load_file):
        refusal, weights = None, {}
        try:
            weights = read(path)
        except CheckpointError as error:
            refusal = str(error)
        if refusal is None:
            assert read is read_state_dict
            assert all(torch.is_tensor(tensor) for tensor in weights.values())
        else:
            assert refusal.isprintable()
            assert refusal.startswith(str(path))


@pytest.mark.parametrize("kind", KINDS)
@SHORT
@given(changes=CHANGES)
def test_changed_files_give_tensors_or_one_line(tmp_path, kind, changes):
    data, name = KINDS[kind]
    path = tmp_path / name
    path.write_bytes(mutate(data, changes))
    check(path)


@pytest.mark.parametrize("kind", ["state dict", "TorchScript"])
@SHORT
@given(changes=CHANGES)
def test_changed_pickles_in_sound_archives_give_tensors_or_one_line(tmp_path, kind, changes):
    """The zip's checksums are put right, so that the changes reach the pickle's reader."""
    data, name = KINDS[kind]
    path = tmp_path / name
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            new.writestr(entry, mutate(content, changes) if entry.endswith("data.pkl") else content)
    check(path)


@SHORT
@given(data=st.binary(max_size=200))
def test_pickles_of_any_bytes_give_one_line(tmp_path, data):
    path = tmp_path / "clip.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("clip/data.pkl", b"\x80\x02" + data)
    check(path)
