"""Attention as the encoders need it: among all tokens, and with a single query.

Written out in matrix products (torch's own module hides a fused path that differs by version), with
the weights in torch's layout: a projection is `x @ weight.T + bias`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Multi-head attention of every token to every token, from an `nn.MultiheadAttention`."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads = attention.num_heads
        self.in_weight, self.in_bias = attention.in_proj_weight, attention.in_proj_bias
        self.out = attention.out_proj

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens `[N, L, C]` to `[N, L, C]`."""
        width = tokens.shape[2]
        head_width = width // self.heads
        projected = F.linear(tokens, self.in_weight, self.in_bias)
        query, key, value = (
            part.unflatten(2, (self.heads, head_width)).transpose(1, 2)
            for part in projected.split(width, dim=2)
        )
        attention = ((query * head_width**-0.5) @ key.transpose(2, 3)).softmax(dim=3)
        return self.out((attention @ value).transpose(1, 2).flatten(2))


class SingleQueryAttention(nn.Module):
    """Multi-head attention of one query token, folded so that no token is projected.

    With one query q per head, `q . (W_k x_t + b_k)` is `(W_k^T q) . x_t` plus a constant that the
    softmax over the tokens t cancels, and the weighted mean of `W_v x_t + b_v` is W_v of the weighted
    mean, plus b_v. So keys and values of the L tokens are never formed: the cost falls from
    O(L C^2) to O(C^2 + heads L C), exactly, up to rounding.
    """

    def __init__(
        self,
        heads: int,
        query: tuple[Tensor, Tensor],
        key_weight: Tensor,
        value: tuple[Tensor, Tensor],
        out: tuple[Tensor, Tensor],
    ) -> None:
        super().__init__()
        width = key_weight.shape[1]
        head_width = key_weight.shape[0] // heads
        scale = head_width**-0.5
        self.heads = heads
        self.query_weight = nn.Parameter(query[0].detach() * scale)
        self.query_bias = nn.Parameter(query[1].detach() * scale)
        self.key_weight = nn.Parameter(key_weight.detach().reshape(heads, head_width, width))
        value_weight = value[0].detach().reshape(heads, head_width, width)
        self.value_weight = nn.Parameter(value_weight.transpose(1, 2).contiguous())
        self.value_bias = nn.Parameter(value[1].detach())
        self.out_weight = nn.Parameter(out[0].detach())
        self.out_bias = nn.Parameter(out[1].detach())

    @classmethod
    def from_multihead(cls, attention: nn.MultiheadAttention) -> SingleQueryAttention:
        """The single-query form of a torch module with packed projections."""
        query, key, value = attention.in_proj_weight.chunk(3)
        query_bias, _, value_bias = attention.in_proj_bias.chunk(3)
        return cls(
            attention.num_heads,
            (query, query_bias),
            key,
            (value, value_bias),
            (attention.out_proj.weight, attention.out_proj.bias),
        )

    def forward(self, query: Tensor, tokens: Tensor) -> Tensor:
        """Query `[N, C]` and tokens `[N, L, C]` to `[N, D]`."""
        heads = F.linear(query, self.query_weight, self.query_bias).unflatten(1, (self.heads, -1))
        probes = (heads.transpose(0, 1) @ self.key_weight).transpose(0, 1)  # [N, heads, C]
        attention = (probes @ tokens.transpose(1, 2)).softmax(dim=2)  # [N, heads, L]
        pooled = (attention @ tokens).transpose(0, 1)  # [heads, N, C]
        values = (pooled @ self.value_weight).transpose(0, 1).flatten(1)
        return F.linear(values + self.value_bias, self.out_weight, self.out_bias)
