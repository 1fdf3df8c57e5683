"""Inverted residual blocks, MobileNetV2's encoder, and normalisation by domain.

References
----------
Sandler, Howard, Zhu, Zhmoginov & Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
CVPR 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

Norm = Callable[[int], nn.Module]
"""Makes the normalisation of a number of units."""

_STAGES = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
"""Expansion, units, blocks, stride of the first block (MobileNetV2, table 2)."""


def convolution(units_in: int, units: int, size: int = 1, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that keeps the maps' size, but for the stride."""
    return nn.Conv2d(units_in, units, size, stride, size // 2, bias=False)


def depthwise(units: int) -> nn.Conv2d:
    """Return a 3×3 convolution of each map by itself, without bias."""
    return nn.Conv2d(units, units, 3, 1, 1, groups=units, bias=False)


class InvertedResidual(nn.Module):
    """Expanded by a 1×1 convolution, filtered map by map, and reduced without an activation.

    Parameters
    ----------
    units_in, units : int
    expansion : int
        1 leaves out the expanding convolution.
    norm : callable

    Notes
    -----
    The input is added to the output if both have the same number of units.
    """

    def __init__(
        self, units_in: int, units: int, expansion: int, norm: Norm = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        hidden = units_in * expansion
        first = []
        if expansion > 1:
            first = [convolution(units_in, hidden), norm(hidden), nn.ReLU6(inplace=True)]
        self.conv = nn.Sequential(
            *first,
            *(depthwise(hidden), norm(hidden), nn.ReLU6(inplace=True)),
            *(convolution(hidden, units), norm(units)),
        )
        self.residual = units_in == units
        if expansion > 1:
            initialise(self)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (n, units_in, h, w) to (n, units, h, w)."""
        return maps + self.conv(maps) if self.residual else self.conv(maps)


def mobile_encoder() -> tuple[nn.Sequential, frozenset[int]]:
    """Return MobileNetV2's 19 blocks without their strides, and where these were.

    Returns
    -------
    blocks : Sequential
        Only the first has its stride.
    halved : set of int
        The blocks whose output is to be subsampled by 2. A depthwise convolution with stride 2 is
        one with stride 1 and subsampled output, and 1×1 convolutions do not mix cells: so the
        output before is the same block's at full resolution.
    """
    blocks: list[nn.Module] = [
        nn.Sequential(convolution(3, 32, 3, 2), nn.BatchNorm2d(32), nn.ReLU6(inplace=True))
    ]
    halved, units_in = [], 32
    for expansion, units, count, stride in _STAGES:
        for k in range(count):
            if k == 0 and stride == 2:
                halved.append(len(blocks))
            blocks.append(InvertedResidual(units_in, units, expansion))
            units_in = units
    last = 1280
    blocks.append(
        nn.Sequential(*(convolution(units_in, last), nn.BatchNorm2d(last), nn.ReLU6(inplace=True)))
    )
    encoder = nn.Sequential(*blocks)
    initialise(encoder)
    return encoder, frozenset(halved)


def initialise(network: nn.Module) -> None:
    """Draw random weights of convolutions with a variance of 2 / (k² units)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            height, width = module.kernel_size
            spread = math.sqrt(2 / (height * width * module.out_channels))
            nn.init.normal_(module.weight, 0, spread)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
