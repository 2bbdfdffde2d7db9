"""The demo encoder in torch: a small CLIP, what the published head makes of it, and the checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from torch.nn import functional as F

from maclip_export.prompts import PUBLISHED_PROMPTS
from maclip_export.published import (
    PUBLISHED_CONSTANTS,
    PUBLISHED_VIEWS,
    compare_prompts,
    fuse_cues,
    measure_magnitude,
    measure_similarity,
)


@dataclass(frozen=True)
class Cues:
    """Per view: `margins` [V, 5], logit of good minus bad per pair; the cues and the score, [V]."""

    margins: Tensor
    similarity: Tensor
    magnitude: Tensor
    score: Tensor


def build_encoder(layers: tuple[int, int, int, int], width: int, embed: int) -> CLIP:
    """Build the network with random weights: a ModifiedResNet and a one-layer text tower.

    The attention pool's positional embedding is zero and stays so: the method never adds it.
    """
    vision = CLIPVisionCfg(layers=layers, width=width, head_width=64, image_size=224)
    text = CLIPTextCfg(context_length=77, vocab_size=49408, width=32, heads=1, layers=1)
    model = CLIP(embed, vision, text, quick_gelu=True)
    position = model.visual.attnpool.positional_embedding
    position.requires_grad_(False).zero_()
    # Untrained features are alike for all pictures; a smaller factor keeps the first gradients sane.
    model.logit_scale.data.fill_(3.0)
    return model


def set_view_side(model: CLIP, side: int) -> None:
    """Fit the attention pool to square views of `side` pixels, a multiple of 32.

    Only the (zero) positional embedding has the size in it: the rest takes pieces of any size.
    """
    pool = model.visual.attnpool
    zeros = torch.zeros((side // 32) ** 2 + 1, pool.positional_embedding.shape[1])
    pool.positional_embedding = torch.nn.Parameter(zeros, requires_grad=False)


def tokenise_prompts() -> Tensor:
    """Token ids of the ten prompts, int64 [10, 77], the five good ones first."""
    good, bad = ([getattr(pair, side) for pair in PUBLISHED_PROMPTS] for side in ("good", "bad"))
    tokens: Tensor = SimpleTokenizer()([*good, *bad])
    return tokens


def normalise_views(views: Tensor) -> Tensor:
    """uint8 [V, 224, 224, 3] to CLIP's scale, float32 [V, 3, 224, 224], channels last in memory."""
    pixels = views.permute(0, 3, 1, 2).float().div_(255)
    mean, std = (
        torch.tensor(v).view(1, 3, 1, 1) for v in (PUBLISHED_VIEWS.mean, PUBLISHED_VIEWS.std)
    )
    return pixels.sub_(mean).div_(std)


def encode_prompts(model: CLIP, tokens: Tensor) -> Tensor:
    """Prompt embeddings of unit length, [5, 2, D]: good and bad of each pair."""
    embeddings = F.normalize(model.encode_text(tokens).float(), dim=-1)
    return embeddings.view(2, len(PUBLISHED_PROMPTS), -1).transpose(0, 1)


def measure_cues(features: Tensor, prompts: Tensor, logit_scale: Tensor) -> Cues:
    """The published head, differentiable. features: [V, D], unnormalised; prompts: [5, 2, D]."""
    logits = compare_prompts(features, prompts, logit_scale)
    similarity = measure_similarity(logits)
    magnitude = measure_magnitude(features, PUBLISHED_CONSTANTS.magnitude.boxcox_lambda)
    score = fuse_cues(similarity, magnitude, PUBLISHED_CONSTANTS)
    return Cues(logits[..., 0] - logits[..., 1], similarity, magnitude, score)


@torch.no_grad()
def recalibrate_norms(model: CLIP, batches: Iterable[Tensor]) -> None:
    """Set the batch norms' statistics to plain averages over some batches of views.

    batches: uint8 [V, 224, 224, 3]. Running averages lag behind weights that were still moving.
    """
    norms = [m for m in model.visual.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    for views in batches:
        model.encode_image(normalise_views(views))
    model.eval()


def save_checkpoint(model: CLIP, path: Path) -> None:
    """Write OpenAI's state-dict layout in half precision, replacing `path` in one step.

    The model itself is rounded to what was written, so that it can be measured as it ships.
    """
    state = {}
    for name, value in model.state_dict().items():
        rounded = value.half() if value.is_floating_point() else value
        if not torch.isfinite(rounded).all():
            raise ValueError(f"{name} does not fit half precision")
        state[name] = rounded.contiguous()
    model.load_state_dict(state)
    state["input_resolution"] = torch.tensor(model.visual.image_size)
    state["context_length"] = torch.tensor(model.context_length)
    state["vocab_size"] = torch.tensor(model.vocab_size)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    torch.save(state, part)
    part.replace(path)
