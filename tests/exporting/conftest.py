"""Small CLIP checkpoints of both families, loaded once, and what is exported and traced from them."""

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from maclip_export.checkpoints import load_file
from maclip_export.encoders import build_image_encoder
from maclip_export.export import export_bundle
from maclip_export.graphs.tracing import trace_graph
from maclip_export.prompts import PUBLISHED_PROMPTS
from maclip_export.quality.calibration import read_calibration
from maclip_export.scenes import draw_views
from maclip_export.selection import GraphSelection
from maclip_runtime import open_bundle
from maclip_runtime.bundle.staging import write_manifest
from maclip_runtime.method.geometry import ViewGeometry
from make_bundles import write_checkpoint

ROOT = Path(__file__).parents[2]
PLAIN = ("prompts.npz", "text_encoder.fp32.onnx", "image_encoder.fp32.onnx")


@pytest.fixture(scope="session")
def checkpoint_file(bundles_directory):
    return cache(lambda arch: write_checkpoint(arch, bundles_directory / f"{arch}.pt"))


@pytest.fixture(params=["rn-small", "vit-small"])
def arch(request):
    return request.param


@pytest.fixture
def checkpoint(checkpoint_file, arch):
    return load_file(checkpoint_file(arch))


@pytest.fixture
def plain_bundle(bundle_of, tmp_path):
    """A bundle to change, with the files that `maclip export` writes unless told otherwise.

    Cut down from the one that all tests share: exporting it again takes as long as ten tests.
    """

    def copy(arch):
        manifest = open_bundle(bundle_of(arch)).manifest
        files = tuple(file for file in manifest.files if file.path in PLAIN)
        path = tmp_path / f"{arch}.maclip"
        path.mkdir()
        for file in files:
            shutil.copy(bundle_of(arch) / file.path, path)
        write_manifest(path, replace(manifest, files=files))
        return open_bundle(path)

    return copy


@pytest.fixture(scope="session")
def encoder_graph(checkpoint_file):
    """The float32 graph of a small encoder for views; read it only, it is traced once."""

    @cache
    def trace(arch):
        geometry = ViewGeometry()
        encoder = build_image_encoder(load_file(checkpoint_file(arch)).model, geometry)
        example = torch.from_numpy(draw_views(geometry, 2))
        return trace_graph(encoder, example, ("pixels", "features", "views"))

    return trace


@pytest.fixture(scope="session")
def demo_bundle(tmp_path_factory):
    """The demo encoder, trained and small, in every precision, with frame graphs; read only."""
    checkpoint = load_file(ROOT / "demo" / "demo-encoder.pt")
    return export_bundle(
        checkpoint,
        tmp_path_factory.mktemp("demo") / "demo.maclip",
        PUBLISHED_PROMPTS,
        GraphSelection(
            ["fp32", "fp16", "int8"],
            frames=[None],
            dense=[None],
            calibration=read_calibration(ROOT / "samples", checkpoint.views),
        ),
        text_encoder=False,
    ).path
