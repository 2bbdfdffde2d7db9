"""A bundle as a model repository of Triton's: what is read of it is verified, and it appears whole.

REPOSITORY/maclip_picture/          an encoded picture in, its score out: config.pbtxt
                         /1/        model.py, and the bundle's manifest and prompts
          /maclip_encoder/          views in, features out; requests share batches
          /maclip_score/            a raw frame in, its score out: where the bundle has a score graph
          /maclip_encoder_tensorrt/ the same from plans, and so on
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maclip_runtime.bundle.bundle import (
    MANIFEST_NAME,
    Bundle,
    open_bundle,
    parse_bundle,
    read_manifest,
)
from maclip_runtime.bundle.signatures import SIGNATURE_NAME
from maclip_runtime.errors import BundleError
from maclip_runtime.files import stage_directory
from maclip_runtime.serving.config import (
    ModelConfig,
    configure_encoder,
    configure_picture,
    configure_score_graph,
    write_text,
)
from maclip_runtime.serving.graphs import ServedGraph, choose_graphs
from maclip_runtime.serving.picture_model import BUNDLE_FOLDER
from maclip_runtime.serving.settings import ServingSettings

_PICTURE_MODEL = '''\
"""The score of an encoded picture; its code is the package maclip-edge."""

from maclip_runtime.serving.picture_model import TritonPythonModel  # noqa: F401
'''


@dataclass(frozen=True)
class ServedModel:
    """A model that was written: its name, Triton's backend, and what of the bundle it runs."""

    name: str
    backend: str
    runs: str


def write_repository(
    bundle: Bundle, destination: Path, settings: ServingSettings
) -> list[ServedModel]:
    """Write the model repository of a bundle; returns its models, the one to ask first.

    The folder must not exist yet: OutputError if it does, or cannot be written; nothing is left of it then.
    BundleError where the bundle is damaged, or lacks the precision.
    """
    graphs = choose_graphs(bundle, settings)
    encoder = graphs[0]
    manifest = bundle.manifest
    with stage_directory(destination) as staging:
        picture = configure_picture(encoder, manifest, settings)
        version = _write_model(staging, picture, settings)
        version.joinpath("model.py").write_text(_PICTURE_MODEL, encoding="utf-8")
        _copy_head(bundle, version / BUNDLE_FOLDER)
        for graph in graphs:
            configure = configure_encoder if graph.is_encoder else configure_score_graph
            version = _write_model(staging, configure(graph, manifest, settings), settings)
            for name, file in graph.files.items():
                version.joinpath(name).write_bytes(bundle.read(file))
    return [
        ServedModel(picture.name, "python", f"pictures, by {encoder.model}"),
        *(ServedModel(graph.model, graph.backend, _list_files(graph)) for graph in graphs),
    ]


def _write_model(repository: Path, config: ModelConfig, settings: ServingSettings) -> Path:
    """Write a model's configuration; returns the folder of its version."""
    version = repository / config.name / str(settings.version)
    version.mkdir(parents=True)
    path = version.with_name("config.pbtxt")
    path.write_text(write_text(config), encoding="utf-8")
    return version


def _copy_head(bundle: Bundle, destination: Path) -> None:
    """What the head needs of a bundle: manifest, signature and prompts, opened as any bundle is."""
    destination.mkdir()
    manifest = read_manifest(bundle.path)
    if parse_bundle(bundle.path, manifest).manifest != bundle.manifest:
        raise BundleError(f"{bundle.path}: was changed meanwhile", "try again")
    destination.joinpath(MANIFEST_NAME).write_bytes(manifest)
    signature = bundle.path / SIGNATURE_NAME
    if signature.is_file():
        destination.joinpath(SIGNATURE_NAME).write_bytes(signature.read_bytes())
    prompts = bundle.find("prompts")
    path = destination / prompts.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bundle.read(prompts))
    open_bundle(destination).load_prompts()


def _list_files(graph: ServedGraph) -> str:
    return ", ".join(dict.fromkeys(file.path for file in graph.files.values()))
