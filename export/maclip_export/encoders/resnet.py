"""CLIP's ModifiedResNet as an image encoder, for views and for pictures of many windows."""

from __future__ import annotations

import torch
from open_clip.modified_resnet import Bottleneck, ModifiedResNet
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from maclip_export.encoders.attention import SingleQueryAttention
from maclip_runtime.method.geometry import ViewGeometry

CELL = 32  # pixels on a side of what a cell of a ResNet's last layer stands for: five halvings


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
