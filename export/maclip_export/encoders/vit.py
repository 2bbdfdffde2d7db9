"""CLIP's VisionTransformer as an image encoder: its last block computes only the class token."""

from __future__ import annotations

import torch
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn

from maclip_export.encoders.attention import SelfAttention, SingleQueryAttention
from maclip_export.errors import CheckpointError


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
