"""Small CLIP checkpoints of both families, loaded once."""

import pytest

from maclip_export.checkpoints import load_file
from make_bundles import write_checkpoint


@pytest.fixture(scope="session")
def checkpoint_file(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoints")
    made = {}

    def find(arch):
        if arch not in made:
            made[arch] = write_checkpoint(arch, directory / f"{arch}.pt")
        return made[arch]

    return find


@pytest.fixture(params=["rn-small", "vit-small"])
def arch(request):
    return request.param


@pytest.fixture
def checkpoint(checkpoint_file, arch):
    return load_file(checkpoint_file(arch))
