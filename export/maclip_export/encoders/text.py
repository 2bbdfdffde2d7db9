"""CLIP's text tower, as open_clip runs it."""

from __future__ import annotations

import open_clip.model
from torch import Tensor, nn


class TextEncoder(nn.Module):
    """CLIP's text tower: tokens `[N, 77]` int64 to embeddings `[N, D]` float32, unnormalised."""

    def __init__(self, model: open_clip.model.CLIP) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens to embeddings, read at each text's end token."""
        return self.model.encode_text(tokens)
