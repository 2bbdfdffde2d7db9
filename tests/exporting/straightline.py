"""The method, straight down in torch on open_clip's own modules: what everything else is held against.

Written from the equations for plainness, not speed, and independent of the code under test: open_clip's
attention pool and blocks run as they are, with their positional embedding set to zero.
"""

from __future__ import annotations

import copy

import open_clip
import torch
from torch.nn import functional as F

MEAN = torch.tensor(open_clip.OPENAI_DATASET_MEAN)
STD = torch.tensor(open_clip.OPENAI_DATASET_STD)


def encode_without_positions(model, pixels):
    visual = copy.deepcopy(model.visual)
    holder = visual.attnpool if hasattr(visual, "attnpool") else visual
    with torch.no_grad():
        holder.positional_embedding.zero_()
        return visual(pixels)


def views_of(frame, size=224, stride=128):
    x = ((torch.from_numpy(frame.copy()) / 255 - MEAN) / STD).permute(2, 0, 1)[None]
    windows = F.unfold(x, size, stride=stride)  # [1, 3 * S * S, L]
    windows = windows[0].T.reshape(-1, 3, size, size)
    whole = F.interpolate(x, (size, size), mode="bilinear", align_corners=False)
    return torch.cat([windows, whole])


def embed(model, pairs):
    tokenizer = open_clip.get_tokenizer("RN50")
    texts = [text for pair in pairs for text in (pair.good, pair.bad)]
    with torch.no_grad():
        return F.normalize(model.encode_text(tokenizer(texts)), dim=1).reshape(
            -1, 2, model_dim(model)
        )


def model_dim(model):
    return model.text_projection.shape[1]


def judge(features, prompts, logit_scale, lam=0.5, alpha=1.0, bases=(1.0, 0.6)):
    directions = features / features.norm(dim=1, keepdim=True)
    logits = logit_scale.exp() * torch.einsum("vd,kpd->vkp", directions, prompts)
    similarity = logits.softmax(dim=2)[:, :, 0].mean(dim=1)
    m = features.abs()
    m = m / (m.std(dim=1, keepdim=True) + 1e-6)
    magnitude = (((m + 1) ** lam - 1) / lam if lam else torch.log(m + 1)).mean(dim=1)
    d = similarity - magnitude
    weights = torch.stack([bases[0] + alpha * d, bases[1] - alpha * d]).softmax(dim=0)
    return weights[0] * similarity + weights[1] * magnitude


def score(model, frame, pairs):
    features = encode_without_positions(model, views_of(frame))
    with torch.no_grad():
        return judge(features, embed(model, pairs), model.logit_scale).mean().item()
