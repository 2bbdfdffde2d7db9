"""Checkpoints to float32 open_clip models: by open_clip name and tag, or from a local file.

OpenAI's weights need QuickGELU in both towers, which open_clip's plain configurations (`RN50`) do not
have; here the activation follows from where the weights come from, and where that does not settle it,
it must be said.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import open_clip
import safetensors
import safetensors.torch
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from torch import Tensor

from maclip_export.archives import Archive
from maclip_export.encoders import describe_activation
from maclip_export.errors import CheckpointError
from maclip_export.vocabulary import Activation
from maclip_runtime.bundle.bundle import hash_file
from maclip_runtime.bundle.manifest import Architecture, Weights
from maclip_runtime.errors import Remedy
from maclip_runtime.method.geometry import CLIP_MEAN, CLIP_STD, ViewGeometry

StateDict = dict[str, Tensor]
T = TypeVar("T")

# Entries of OpenAI's archives that are settings, not weights. open_clip's own checkpoints lack them.
_SETTINGS = ("input_resolution", "context_length", "vocab_size")
_LONGEST_TEXT = 1024  # tokens; CLIP's 77, and its attention mask is as large as the square of it


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model in float32, with what the manifest says of it."""

    model: CLIP
    weights: Weights
    architecture: Architecture
    views: ViewGeometry


def load_named(
    name: str, pretrained: str, activation: Activation = "auto", *, trust_checkpoint: bool = False
) -> Checkpoint:
    """A model by open_clip name, with a pretrained tag (downloaded) or a local weights file.

    trust_checkpoint: as for `read_state_dict`.
    """
    name = name.replace("/", "-")
    config: dict[str, Any] | None = open_clip.get_model_config(name)
    if config is None:
        raise CheckpointError(f"open_clip has no model {name!r}; see open_clip.list_models()")
    if {"custom_text", "multimodal_cfg"} & config.keys():
        raise CheckpointError(f"{name} is not laid out as CLIP; take a plain CLIP model")
    tag = open_clip.get_pretrained_cfg(name, pretrained)
    if tag:
        path = _download(name, pretrained, tag)
    elif Path(pretrained).is_file():
        path = Path(pretrained)
    else:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise CheckpointError(f"{pretrained}: neither a file nor a tag of {name} (it has: {tags})")
    state_dict = read_state_dict(path, trust_checkpoint=trust_checkpoint)
    if tag:
        config["quick_gelu"] = bool(tag.get("quick_gelu")) or pretrained == "openai"
    else:
        config["quick_gelu"] = _settle_activation(name, config, path, state_dict, activation)
    model = CLIP(**config)
    _refusing(
        f"{path}: not the weights of {name}",
        lambda: model.load_state_dict(_drop_settings(state_dict)),
    )
    views = ViewGeometry(
        mean=tuple(tag.get("mean", CLIP_MEAN)), std=tuple(tag.get("std", CLIP_STD))
    )
    return _describe(model, name, f"tag {pretrained}" if tag else path.name, path, views)


def load_file(
    path: Path, activation: Activation = "auto", *, trust_checkpoint: bool = False
) -> Checkpoint:
    """A local file in OpenAI's layout, state dict or TorchScript; the architecture is in its shapes.

    Float32 weights are kept as they are (open_clip's builder for this layout rounds them to half).
    trust_checkpoint: as for `read_state_dict`.
    """
    state_dict = read_state_dict(path, trust_checkpoint=trust_checkpoint)
    quick_gelu = (
        activation != "gelu"
    )  # the layout is OpenAI's, and so is the activation unless told
    model = _refusing(
        f"{path}: not a CLIP checkpoint in OpenAI's layout",
        lambda: build_model(state_dict, quick_gelu=quick_gelu),
    )
    return _describe(model, path.stem, path.name, path, ViewGeometry())


def read_state_dict(path: Path, *, trust_checkpoint: bool = False) -> StateDict:
    """The float32 tensors of a state dict, safetensors file or TorchScript archive.

    No code in the file is run, neither pickled nor TorchScript's, unless `trust_checkpoint`: then a file
    that cannot be read without is loaded by torch, which runs whatever is in it. Raises CheckpointError for
    whatever is wrong with it, and if it holds anything but tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    read = _load_safetensors if path.suffix == ".safetensors" else _read_archive
    try:
        return _refusing(f"{path}: not readable as a checkpoint", lambda: _take_weights(read(path)))
    except CheckpointError:
        if not trust_checkpoint:
            raise
    return _refusing(
        f"{path}: not readable as a checkpoint, trusted as it is",
        lambda: _take_weights(_run_checkpoint(path)),
    )


def _load_safetensors(path: Path) -> Any:
    return safetensors.torch.load_file(path)


def _read_archive(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            "damaged, or neither a safetensors file nor a zip archive as torch writes them since 1.6",
            Remedy("load it where it is trusted and save its state dict anew"),
        )
    with Archive(path) as archive:
        try:
            return archive.read()
        except CheckpointError as error:
            remedy = Remedy(
                "if you trust where it comes from, {trust_checkpoint} lets torch run it",
                settings={"trust_checkpoint": True},
            )
            raise CheckpointError(error.cause, remedy) from None


def _run_checkpoint(path: Path) -> Any:
    """What torch makes of a file, running the code in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript old, and pickles odd
        if zipfile.is_zipfile(path):
            with Archive(path) as archive:
                is_torchscript = archive.is_torchscript
            if is_torchscript:
                return torch.jit.load(path, map_location="cpu").state_dict()
        return torch.load(path, map_location="cpu", weights_only=False)


def _take_weights(content: Any) -> StateDict:
    """The tensors of a state dict, or of one within a training run's checkpoint, in float32."""
    if isinstance(content, dict) and "state_dict" in content:
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(torch.is_tensor(v) for v in content.values()):
        raise CheckpointError(
            "not a state dict of tensors; other pickled objects are never loaded",
            "save the model's state dict, and nothing else",
        )
    return {
        str(key).removeprefix("module."): value.float() if value.is_floating_point() else value
        for key, value in content.items()
    }


def _refusing(what: str, act: Callable[[], T]) -> T:
    """What `act` gives; whatever it raises becomes a CheckpointError of one line that begins with `what`.

    A damaged file reaches code of torch, zipfile and safetensors that raises what it likes.
    """
    try:
        return act()
    except Exception as error:  # noqa: BLE001  see above
        cause, remedy = (
            (error.cause, error.remedy) if isinstance(error, CheckpointError) else (str(error), "")
        )
        words = "".join(c if c.isprintable() else " " for c in cause[:2000]).split()
        reason = " ".join(words)[:300] or type(error).__name__
        raise CheckpointError(f"{what} ({reason})", remedy) from None


def build_model(state_dict: StateDict, *, quick_gelu: bool) -> CLIP:
    """The model whose weights these are, its sizes read from the shapes, in float32."""
    weights = _drop_settings(state_dict)
    if "visual.proj" in weights:
        width, _, _, patch = weights["visual.conv1.weight"].shape
        grid = _grid_side(weights["visual.positional_embedding"])
        vision = CLIPVisionCfg(
            layers=_count(weights, "visual.transformer.resblocks."),
            width=width,
            patch_size=patch,
            image_size=patch * grid,
        )
    else:
        vision = CLIPVisionCfg(
            layers=tuple(_count(weights, f"visual.layer{stage}.") for stage in (1, 2, 3, 4)),
            width=weights["visual.layer1.0.conv1.weight"].shape[0],
            image_size=32 * _grid_side(weights["visual.attnpool.positional_embedding"]),
        )
    text_width = weights["ln_final.weight"].shape[0]
    text = CLIPTextCfg(
        context_length=weights["positional_embedding"].shape[0],
        vocab_size=weights["token_embedding.weight"].shape[0],
        width=text_width,
        heads=max(1, text_width // 64),
        layers=_count(weights, "transformer.resblocks."),
    )
    if text.context_length > _LONGEST_TEXT:
        raise ValueError(f"prompts of {text.context_length} tokens")
    features = weights["text_projection"].shape[1]
    # First without memory for the weights: a damaged file's sizes may name any amount of it.
    with torch.device("meta"):
        expected = CLIP(features, vision, text, quick_gelu=quick_gelu).state_dict()
    for name, tensor in expected.items():
        if name not in weights or weights[name].shape != tensor.shape:
            raise ValueError(f"{name} is missing, or not {list(tensor.shape)}")
    model = CLIP(features, vision, text, quick_gelu=quick_gelu)
    model.load_state_dict(weights)
    return model.eval()


def _drop_settings(state_dict: StateDict) -> StateDict:
    return {key: value for key, value in state_dict.items() if key not in _SETTINGS}


def _grid_side(positional_embedding: Tensor) -> int:
    return round((positional_embedding.shape[0] - 1) ** 0.5)


def _count(weights: StateDict, prefix: str) -> int:
    """How many numbered blocks there are under a prefix."""
    depth = prefix.count(".")
    blocks = {key.split(".")[depth] for key in weights if key.startswith(prefix)}
    if not blocks:
        raise KeyError(f"no {prefix}*")
    return len(blocks)


def _settle_activation(
    name: str,
    config: dict[str, Any],
    path: Path,
    state_dict: StateDict,
    activation: Activation,
) -> bool:
    """Whether a local file's weights for a named model want QuickGELU; refuses to guess."""
    if activation != "auto":
        return activation == "quick-gelu"
    if config.get("quick_gelu") or any(key in state_dict for key in _SETTINGS):
        return True  # only OpenAI's own files carry their settings
    if f"{name}-quickgelu" not in open_clip.list_models():
        return False
    raise CheckpointError(
        f"{path}: cannot tell whether these {name} weights want QuickGELU (OpenAI's do)",
        Remedy("say which: {activation}, or gelu", settings={"activation": "quick-gelu"}),
    )


def _download(name: str, tag: str, config: dict[str, Any]) -> Path:
    try:
        return Path(open_clip.download_pretrained(config))
    except Exception as error:  # noqa: BLE001  the hub client's, urllib's and open_clip's own have no common base
        raise CheckpointError(
            f"{name} {tag}: the weights could not be downloaded ({_first_line(error)})",
            Remedy(
                "download them elsewhere and give the file with {pretrained} or {checkpoint}",
                settings={"pretrained": None, "checkpoint": None},
            ),
        ) from None


def _describe(model: CLIP, name: str, source: str, path: Path, views: ViewGeometry) -> Checkpoint:
    visual = model.visual
    features = model.text_projection.shape[1]
    if hasattr(visual, "attnpool"):
        layers = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
        depth = "-".join(str(len(layer)) for layer in layers)
        image = f"ModifiedResNet {depth}, width {visual.conv3.out_channels}"
    else:
        image = (
            f"VisionTransformer {len(visual.transformer.resblocks)} blocks, "
            f"width {visual.conv1.out_channels}, patch {visual.conv1.kernel_size[0]}"
        )
    text = f"Transformer {len(model.transformer.resblocks)} blocks, width {model.transformer.width}"
    return Checkpoint(
        model.float().eval().requires_grad_(False),
        Weights(name, source, hash_file(path)),
        Architecture(image, text, features, describe_activation(model)),
        views,
    )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
