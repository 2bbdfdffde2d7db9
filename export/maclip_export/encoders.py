"""CLIP's encoders as the method uses them, built from an open_clip model's weights.

The image encoders leave out the positional embedding, fold what can be folded exactly, and compute
only what reaches the features: one query in a ResNet's attention pool, one in a ViT's last block.
"""

from __future__ import annotations

from typing import Literal

import open_clip.model
import torch
from open_clip.modified_resnet import Bottleneck, ModifiedResNet
from open_clip.transformer import QuickGELU, ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from maclip_export.attention import SelfAttention, SingleQueryAttention
from maclip_export.errors import CheckpointError


def build_image_encoder(model: nn.Module) -> nn.Module:
    """The image encoder of an open_clip model: pixels `[N, 3, S, S]` to features `[N, D]`, float32.

    Features are unnormalised and computed without the positional embedding.
    """
    visual = model.visual
    if isinstance(visual, ModifiedResNet):
        return ResNetEncoder(visual).eval()
    if isinstance(visual, VisionTransformer):
        return VitEncoder(visual).eval()
    raise CheckpointError(
        f"image tower {type(visual).__name__} is not supported; the method is defined for CLIP's "
        "ModifiedResNet and VisionTransformer"
    )


class ResNetEncoder(nn.Module):
    """CLIP's ModifiedResNet with BatchNorm folded into the convolutions and a single-query pool."""

    def __init__(self, visual: ModifiedResNet) -> None:
        super().__init__()
        visual = visual.eval()
        self.stem = nn.Sequential(
            fuse_conv_bn_eval(visual.conv1, visual.bn1), nn.ReLU(),
            fuse_conv_bn_eval(visual.conv2, visual.bn2), nn.ReLU(),
            fuse_conv_bn_eval(visual.conv3, visual.bn3), nn.ReLU(),
            visual.avgpool,
        )  # fmt: skip
        layers = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
        self.blocks = nn.Sequential(
            *(FoldedBottleneck(block) for layer in layers for block in layer)
        )
        pool = visual.attnpool
        self.pool = SingleQueryAttention(
            pool.num_heads,
            (pool.q_proj.weight, pool.q_proj.bias),
            pool.k_proj.weight,
            (pool.v_proj.weight, pool.v_proj.bias),
            (pool.c_proj.weight, pool.c_proj.bias),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels `[N, 3, S, S]` to features `[N, D]`; the pool's query is the mean of the cells."""
        cells = self.blocks(self.stem(pixels)).flatten(2).transpose(1, 2)  # [N, 49, C]
        mean = cells.mean(dim=1, keepdim=True)
        return self.pool(mean[:, 0], torch.cat([mean, cells], dim=1))


class FoldedBottleneck(nn.Module):
    """CLIP's bottleneck block: strides are average pools in front of the convolutions."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.conv1 = fuse_conv_bn_eval(block.conv1, block.bn1)
        self.conv2 = fuse_conv_bn_eval(block.conv2, block.bn2)
        self.conv3 = fuse_conv_bn_eval(block.conv3, block.bn3)
        self.pool = block.avgpool
        self.shortcut: nn.Module = nn.Identity()
        if block.downsample is not None:
            pool, convolution, norm = block.downsample
            # A pool over 1 x 1 is the identity, but it would stay in the graph as an operation.
            pool = nn.Identity() if block.stride == 1 else pool
            self.shortcut = nn.Sequential(pool, fuse_conv_bn_eval(convolution, norm))

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, h, w]` to `[N, C', h / stride, w / stride]`."""
        branch = self.conv2(self.conv1(x).relu()).relu()
        return (self.conv3(self.pool(branch)) + self.shortcut(x)).relu()


class VitEncoder(nn.Module):
    """CLIP's VisionTransformer; its last block computes only the class token."""

    def __init__(self, visual: VisionTransformer) -> None:
        super().__init__()
        blocks = list(visual.transformer.resblocks)
        plain = (
            visual.attn_pool is None
            and visual.pool_type == "tok"
            and not visual.final_ln_after_pool
            and all(type(block) is ResidualAttentionBlock for block in blocks)
            and all(isinstance(block.ls_1, nn.Identity) for block in blocks)
        )
        if not plain:
            raise CheckpointError(
                "this VisionTransformer differs from CLIP's (pooling, layer scale or block type); "
                "the method is defined for CLIP's"
            )
        self.patches = visual.conv1
        self.class_token = visual.class_embedding
        self.norm_in = visual.ln_pre
        self.blocks = nn.Sequential(*(TransformerBlock(block) for block in blocks[:-1]))
        self.last = ClassTokenBlock(blocks[-1])
        self.norm_out = visual.ln_post
        self.projection = visual.proj

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels `[N, 3, S, S]` to features `[N, D]`."""
        patches = self.patches(pixels).flatten(2).transpose(1, 2)
        token = self.class_token.expand(pixels.shape[0], 1, -1)
        tokens = self.norm_in(torch.cat([token, patches], dim=1))
        return self.norm_out(self.last(self.blocks(tokens))) @ self.projection


class TransformerBlock(nn.Module):
    """A pre-norm residual block over all tokens `[N, L, C]`."""

    def __init__(self, block: ResidualAttentionBlock) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = block.ln_1, block.ln_2
        self.attention = SelfAttention(block.attn)
        self.mlp = block.mlp

    def forward(self, tokens: Tensor) -> Tensor:
        """`[N, L, C]` to `[N, L, C]`."""
        tokens = tokens + self.attention(self.norm_1(tokens))
        return tokens + self.mlp(self.norm_2(tokens))


class ClassTokenBlock(nn.Module):
    """The same block where only the class token's result is wanted."""

    def __init__(self, block: ResidualAttentionBlock) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = block.ln_1, block.ln_2
        self.attention = SingleQueryAttention.from_multihead(block.attn)
        self.mlp = block.mlp

    def forward(self, tokens: Tensor) -> Tensor:
        """`[N, L, C]` to the class token `[N, C]`."""
        normed = self.norm_1(tokens)
        token = tokens[:, 0] + self.attention(normed[:, 0], normed)
        return token + self.mlp(self.norm_2(token))


class TextEncoder(nn.Module):
    """CLIP's text tower: tokens `[N, 77]` int64 to embeddings `[N, D]` float32, unnormalised."""

    def __init__(self, model: open_clip.model.CLIP) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens to embeddings, read at each text's end token."""
        return self.model.encode_text(tokens)


def describe_activation(model: nn.Module) -> Literal["quick_gelu", "gelu"]:
    """ "quick_gelu" or "gelu": what the transformer blocks of both towers use."""
    quick = any(isinstance(module, QuickGELU) for module in model.modules())
    return "quick_gelu" if quick else "gelu"
