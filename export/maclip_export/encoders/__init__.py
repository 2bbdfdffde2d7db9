"""CLIP's encoders as the method uses them, built from an open_clip model's weights.

The image encoders leave out the positional embedding, fold what can be folded exactly, and compute
only what reaches the features: one query in a ResNet's attention pool, one in a ViT's last block.
"""

from __future__ import annotations

from typing import Literal

from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import nn

from maclip_export.encoders.resnet import ResNetEncoder
from maclip_export.encoders.vit import VitEncoder
from maclip_export.errors import CheckpointError
from maclip_runtime.method.geometry import ViewGeometry


def build_image_encoder(model: nn.Module, views: ViewGeometry) -> nn.Module:
    """The image encoder of an open_clip model: pixels `[N, 3, S, S]` to features `[N, D]`, float32.

    Features are unnormalised and computed without the positional embedding. A ResNet's also takes
    larger pictures; see ResNetEncoder.
    """
    visual = model.visual
    if isinstance(visual, ModifiedResNet):
        return ResNetEncoder(visual, views).eval()
    if isinstance(visual, VisionTransformer):
        return VitEncoder(visual).eval()
    raise CheckpointError(
        f"image tower {type(visual).__name__} is not supported; the method is defined for CLIP's "
        "ModifiedResNet and VisionTransformer"
    )


def describe_activation(model: nn.Module) -> Literal["quick_gelu", "gelu"]:
    """ "quick_gelu" or "gelu": what the transformer blocks of both towers use."""
    quick = any(isinstance(module, QuickGELU) for module in model.modules())
    return "quick_gelu" if quick else "gelu"
