"""The published method in eager PyTorch, straight down from the equations on open_clip's own modules.

This is what everything else is held against: tests compare exported graphs and the runtime with it, and
benchmarks measure speed in multiples of its. So it is written for plainness and shares no encoder, view
cutting or head with the code that it checks. `unfold` copies every window out, open_clip's image tower runs
on the batch with its whole attention pool or last block, and the head follows in float32. Two things are
kinder than the published code: the prompts are embedded once, not for every picture, and pixels are scaled
on the device. Equations: Magnitude-Aware CLIP (arXiv 2511.09948).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import open_clip
import torch
from open_clip.model import CLIP
from torch import Tensor
from torch.nn import functional as F

from maclip_runtime.bundle.manifest import PromptPair
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.head import Head
from maclip_runtime.method.magnitude import MagnitudeCue
from maclip_runtime.method.pixels import Frame
from maclip_runtime.method.similarity import SimilarityCue
from maclip_runtime.vocabulary import Precision

# Spelled out here, so that a changed default of the runtime shows.
PUBLISHED_VIEWS = ViewGeometry(
    size=224, stride=128, mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD
)
PUBLISHED_CONSTANTS = Head(
    alpha=1.0,
    similarity=SimilarityCue(base=1.0),
    magnitude=MagnitudeCue(base=0.6, boxcox_lambda=0.5),
)

# All 99 views of a 1080p frame are one run of the tower; the 465 of a 2160p one would want some 10 GB.
VIEWS_PER_RUN = 128


@dataclass(frozen=True)
class PublishedScore:
    """What the method says of a frame: means over its views."""

    score: float
    similarity: float
    magnitude: float


class PublishedMethod:
    """MA-CLIP as published, with a float32 open_clip model, on a torch device.

    model is left as it is. precision: of the image tower, weights and all; the head is always float32.
    views_per_run: views that the tower takes at a time. On a GPU, PyTorch's defaults hold: float32
    convolutions may use TF32, matrix products may not.
    """

    def __init__(
        self,
        model: CLIP,
        prompts: Sequence[PromptPair],
        views: ViewGeometry = PUBLISHED_VIEWS,
        constants: Head = PUBLISHED_CONSTANTS,
        *,
        device: str = "cpu",
        precision: Precision = "fp32",
        views_per_run: int = VIEWS_PER_RUN,
    ) -> None:
        self._views, self._constants = views, constants
        self._views_per_run = views_per_run
        self._device = torch.device(device)
        self._dtype = torch.float16 if precision == "fp16" else torch.float32
        self._tower = remove_positions(model.visual).to(self._device, self._dtype).eval()
        self._prompts = embed_prompts(model, prompts).to(self._device)
        self._logit_scale = model.logit_scale.detach().to(self._device)
        self._mean = torch.tensor(views.mean, device=self._device).view(1, 3, 1, 1)
        self._std = torch.tensor(views.std, device=self._device).view(1, 3, 1, 1)

    def upload(self, frame: Frame) -> Tensor:
        """A frame `[H, W, 3]` of the host on the device, uint8."""
        own = frame if frame.flags.writeable else frame.copy()  # torch wants it writable
        return torch.from_numpy(own).to(self._device)

    @torch.inference_mode()
    def encode(self, frame: Tensor) -> Tensor:
        """Features `[V, D]`, float32, of an uploaded frame of at least S x S pixels."""
        pixels = normalise(frame, self._mean, self._std)
        views = cut_views(pixels, self._views.size, self._views.stride).to(self._dtype)
        return torch.cat([self._tower(run) for run in views.split(self._views_per_run)]).float()

    @torch.inference_mode()
    def evaluate(self, frame: Tensor) -> Tensor:
        """Score, similarity and magnitude `[3]` of an uploaded frame, still on the device."""
        features = self.encode(frame)
        logits = compare_prompts(features, self._prompts, self._logit_scale)
        similarity = measure_similarity(logits)
        magnitude = measure_magnitude(features, self._constants.magnitude.boxcox_lambda)
        score = fuse_cues(similarity, magnitude, self._constants)
        return torch.stack([score, similarity, magnitude]).mean(dim=1)

    def score(self, frame: Frame) -> PublishedScore:
        """Score a frame of the host; returns when the result is there."""
        return PublishedScore(*self.evaluate(self.upload(frame)).tolist())


@torch.no_grad()
def remove_positions(tower: Any) -> Any:
    """A copy of an open_clip image tower whose positional embedding is zero, which is to be without one."""
    tower = copy.deepcopy(tower)
    holder = tower.attnpool if hasattr(tower, "attnpool") else tower
    holder.positional_embedding.zero_()
    return tower


@torch.no_grad()
def embed_prompts(model: CLIP, prompts: Sequence[PromptPair]) -> Tensor:
    """Unit-length embeddings `[K, 2, D]` of the pairs, (good, bad) each."""
    texts = [text for pair in prompts for text in (pair.good, pair.bad)]
    tokens = open_clip.SimpleTokenizer()(texts, context_length=model.context_length)
    embeddings = F.normalize(model.encode_text(tokens), dim=1)
    return embeddings.reshape(len(prompts), 2, -1)


def normalise(frame: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Frame `[H, W, 3]` in 0..255 to pixels `[1, 3, H, W]` on CLIP's scale. mean, std: `[1, 3, 1, 1]`."""
    return (frame.permute(2, 0, 1)[None].float() / 255 - mean) / std


def cut_views(pixels: Tensor, size: int, stride: int) -> Tensor:
    """Pixels `[1, 3, H, W]` to views `[V, 3, S, S]`: windows row by row, then the global view."""
    columns = F.unfold(pixels, size, stride=stride)  # [1, 3 * S * S, V - 1]
    windows = columns[0].T.reshape(-1, 3, size, size)
    whole = F.interpolate(pixels, (size, size), mode="bilinear", align_corners=False)
    return torch.cat([windows, whole])


def compare_prompts(features: Tensor, prompts: Tensor, logit_scale: Tensor) -> Tensor:
    """Logits `[V, K, 2]` of features `[V, D]` and unit-length prompts `[K, 2, D]`, (good, bad) each."""
    directions = F.normalize(features, dim=1)
    return logit_scale.exp() * torch.einsum("vd,kpd->vkp", directions, prompts)


def measure_similarity(logits: Tensor) -> Tensor:
    """The similarity cue `[V]` of logits `[V, K, 2]`: the good prompt's probability, mean over pairs."""
    return logits.softmax(dim=2)[:, :, 0].mean(dim=1)


def measure_magnitude(features: Tensor, boxcox_lambda: float) -> Tensor:
    """The magnitude cue `[V]` of features `[V, D]`: Box-Cox of |features| over their deviation."""
    m = features.abs()
    m = m / (m.std(dim=1, keepdim=True) + 1e-6)
    if boxcox_lambda == 0:
        return torch.log(m + 1).mean(dim=1)
    return (((m + 1) ** boxcox_lambda - 1) / boxcox_lambda).mean(dim=1)


def fuse_cues(similarity: Tensor, magnitude: Tensor, constants: Head) -> Tensor:
    """The score `[V]` of both cues `[V]`: their mean, weighted by which of them is the larger."""
    shift = constants.alpha * (similarity - magnitude)
    bases = (constants.similarity.base + shift, constants.magnitude.base - shift)
    weights = torch.stack(bases).softmax(dim=0)
    return weights[0] * similarity + weights[1] * magnitude
