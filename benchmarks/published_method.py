"""The published method in eager PyTorch: what the engines are compared with, on the same card.

The way the paper's code goes about it, so that its cost can be measured: the frame goes to the device as
float pixels, `unfold` copies every window out, open_clip's own image tower runs on the batch with its
whole attention pool or last block, and the head follows in float32. Two things are kinder than the
published code: the prompts are embedded once, not for every picture, and pixels are scaled on the
device. Equations: Magnitude-Aware CLIP (arXiv 2511.09948).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from maclip_export.checkpoints import load_file
from maclip_runtime.bundle.manifest import Method, PromptPair
from maclip_runtime.vocabulary import Precision

# All 99 views of a 1080p frame are one run of the tower; the 465 of a 2160p one would want some 10 GB.
VIEWS_PER_RUN = 128


@dataclass(frozen=True)
class Judgement:
    """What the method says of a frame: means over its views."""

    score: float
    similarity: float
    magnitude: float


class PublishedMethod:
    """MA-CLIP as published, from a checkpoint in OpenAI's layout, on a torch device.

    method: view geometry and the head's constants, as in a bundle's manifest. precision: of the image
    tower, weights and all; the head is always float32. views_per_run: views that the tower takes at a
    time, by default VIEWS_PER_RUN. On a GPU, PyTorch's defaults hold: float32 convolutions may use TF32,
    matrix products may not. Raises CheckpointError for a file that is no checkpoint.
    """

    def __init__(
        self,
        checkpoint: Path,
        prompts: Sequence[PromptPair],
        method: Method,
        *,
        device: str = "cuda",
        precision: Precision = "fp32",
        views_per_run: int | None = None,
    ) -> None:
        loaded = load_file(checkpoint)
        self._method = method
        self._views_per_run = views_per_run
        self._device = torch.device(device)
        model = loaded.model.to(self._device).eval()
        self._logit_scale = model.logit_scale.detach().exp()
        self._prompts = _embed(model, prompts)
        self._dtype = torch.float16 if precision == "fp16" else torch.float32
        self._tower = _drop_positions(model.visual).to(self._dtype)
        views = method.views
        self._mean = torch.tensor(views.mean, device=self._device).view(1, 3, 1, 1)
        self._std = torch.tensor(views.std, device=self._device).view(1, 3, 1, 1)

    def upload(self, frame: NDArray[np.uint8]) -> Tensor:
        """A frame `[H, W, 3]` of the host on the device, uint8."""
        return torch.from_numpy(frame).to(self._device)

    @torch.inference_mode()
    def judge(self, frame: Tensor) -> Tensor:
        """Score, similarity and magnitude `[3]` of an uploaded frame, still on the device."""
        features = self.encode(frame)
        similarity = self._measure_similarity(features)
        magnitude = self._measure_magnitude(features)
        head = self._method.head
        difference = similarity - magnitude
        bases = (head.similarity_base, head.magnitude_base)
        logits = torch.stack(
            [bases[0] + head.alpha * difference, bases[1] - head.alpha * difference]
        )
        weight = logits.softmax(dim=0)
        score = weight[0] * similarity + weight[1] * magnitude
        return torch.stack([score, similarity, magnitude]).mean(dim=1)

    @torch.inference_mode()
    def encode(self, frame: Tensor) -> Tensor:
        """Features `[V, D]`, float32, of an uploaded frame of at least S x S pixels."""
        views = self._cut_views(frame).to(self._dtype)
        runs = views.split(self._views_per_run or VIEWS_PER_RUN)
        return torch.cat([self._tower(run) for run in runs]).float()

    def score(self, frame: NDArray[np.uint8]) -> Judgement:
        """Judge a frame of the host; returns when the result is there."""
        return Judgement(*self.judge(self.upload(frame)).tolist())

    def _cut_views(self, frame: Tensor) -> Tensor:
        """Frame `[H, W, 3]` to views `[V, 3, S, S]`: the windows row by row, then the global view."""
        size, stride = self._method.views.size, self._method.views.stride
        pixels = frame.permute(2, 0, 1)[None].float() / 255
        pixels = (pixels - self._mean) / self._std
        columns = F.unfold(pixels, size, stride=stride)  # [1, 3 * S * S, V - 1]
        windows = columns[0].T.reshape(-1, 3, size, size)
        whole = F.interpolate(pixels, (size, size), mode="bilinear", align_corners=False)
        return torch.cat([windows, whole])

    def _measure_similarity(self, features: Tensor) -> Tensor:
        directions = F.normalize(features, dim=1)
        logits = self._logit_scale * torch.einsum("vd,kpd->vkp", directions, self._prompts)
        return logits.softmax(dim=2)[:, :, 0].mean(dim=1)

    def _measure_magnitude(self, features: Tensor) -> Tensor:
        magnitude = features.abs()
        magnitude = magnitude / (magnitude.std(dim=1, keepdim=True) + 1e-6)
        lam = self._method.head.boxcox_lambda
        if lam == 0:
            return torch.log(magnitude + 1).mean(dim=1)
        return (((magnitude + 1) ** lam - 1) / lam).mean(dim=1)


@torch.inference_mode()
def _embed(model: open_clip.CLIP, prompts: Sequence[PromptPair]) -> Tensor:
    """Unit-length embeddings `[K, 2, D]` of the pairs, (good, bad) each."""
    texts = [text for pair in prompts for text in (pair.good, pair.bad)]
    tokens = open_clip.SimpleTokenizer()(texts, context_length=model.context_length)
    embeddings = F.normalize(model.encode_text(tokens.to(model.logit_scale.device)), dim=1)
    return embeddings.reshape(len(prompts), 2, -1)


def _drop_positions(tower: Any) -> Any:
    """The image tower with a positional embedding of zeros, which is to be without one."""
    holder = tower.attnpool if hasattr(tower, "attnpool") else tower
    with torch.no_grad():
        holder.positional_embedding.zero_()
    return tower
