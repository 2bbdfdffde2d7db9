"""The published method as PyTorch itself can be made fast: the yardstick for whoever has tuned already."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from open_clip.model import CLIP
from torch import Tensor

from benchmarks.speed.baseline import Tuning
from maclip_export.published import VIEWS_PER_RUN, PublishedMethod
from maclip_runtime.bundle.manifest import PromptPair
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.head import Head
from maclip_runtime.method.pixels import Frame


class TunedMethod(PublishedMethod):
    """MA-CLIP with an image tower that is compiled, narrower, or laid out by channels last.

    The head stays float32. On a GPU cuDNN tries its kernels out (for the whole process), and frames are
    uploaded from pinned memory.
    """

    def __init__(
        self,
        model: CLIP,
        prompts: Sequence[PromptPair],
        views: ViewGeometry,
        constants: Head,
        *,
        tuning: Tuning,
        device: str = "cpu",
        views_per_run: int = VIEWS_PER_RUN,
    ) -> None:
        super().__init__(
            model, prompts, views, constants, device=device, views_per_run=views_per_run
        )
        self._dtype = getattr(torch, tuning.dtype)
        layout = torch.channels_last if tuning.channels_last else torch.contiguous_format
        tower = self._tower.to(dtype=self._dtype, memory_format=layout)
        run = torch.compile(tower) if tuning.compiled else tower
        self._tower = lambda batch: run(batch.contiguous(memory_format=layout))
        self._staging: Tensor | None = None
        if self._device.type == "cuda":
            torch.backends.cudnn.benchmark = True

    def upload(self, frame: Frame) -> Tensor:
        """A frame `[H, W, 3]` of the host on the device, uint8."""
        if self._device.type != "cuda":
            return super().upload(frame)
        if self._staging is None or self._staging.shape != frame.shape:
            self._staging = torch.empty(frame.shape, dtype=torch.uint8, pin_memory=True)
        self._staging.numpy()[:] = (
            frame  # its last upload is over: every frame's score was waited for
        )
        return self._staging.to(self._device, non_blocking=True)
