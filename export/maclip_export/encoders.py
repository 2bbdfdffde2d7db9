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
from maclip_runtime.method.geometry import ViewGeometry

CELL = 32  # pixels on a side of what a cell of a ResNet's last layer stands for: five halvings


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


class ResNetEncoder(nn.Module):
    """CLIP's ModifiedResNet with BatchNorm folded into the convolutions and a single-query pool.

    Without positional embedding it is convolutional up to its pool: pixels become cells, 32 x 32 pixels
    each, and a view is a square of 7 x 7 cells at every fourth cell (S = 224 and T = 128 over 32). So one
    graph with one copy of the weights serves views, which have exactly one such square, and larger
    pictures, whose every square it pools (dense mode).
    """

    def __init__(self, visual: ModifiedResNet, views: ViewGeometry) -> None:
        super().__init__()
        visual = visual.eval()
        self.side, self.step = views.size // CELL, views.stride // CELL
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
        """Pixels `[N, 3, h, w]`, h and w multiples of 32, to features `[N * rows * columns, D]`."""
        cells = self.blocks(self.stem(pixels)).permute(0, 2, 3, 1)  # [N, h / 32, w / 32, C]
        windows = self._cut_windows(cells)
        mean = windows.mean(dim=1, keepdim=True)  # the pool's query
        return self.pool(mean[:, 0], torch.cat([mean, windows], dim=1))

    def _cut_windows(self, cells: Tensor) -> Tensor:
        """Cells `[N, h / 32, w / 32, C]` to the cells of each window `[N * rows * columns, 49, C]`."""
        for axis in (1, 2):
            starts = torch.arange(0, cells.shape[axis] - self.side + 1, self.step)
            chosen = (starts[:, None] + torch.arange(self.side)).flatten()
            cells = cells.index_select(axis, chosen)
        grid = cells.unflatten(2, (-1, self.side)).unflatten(1, (-1, self.side))
        # [N, rows, side, columns, side, C] to a row of cells per window
        return grid.transpose(2, 3).reshape(-1, self.side * self.side, cells.shape[3])


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
