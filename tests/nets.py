"""Networks that tests name as nets:FACTORY."""

import torch
from torch import nn


class Colours(nn.Module):
    """Units red, green, blue, constant: maps whose scores can be had from the picture itself."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.units = nn.Conv2d(3, 4, 1)
        with torch.no_grad():
            self.units.weight.zero_()
            for channel in range(3):
                self.units.weight[channel, channel] = 1
            self.units.bias.copy_(torch.tensor([0.0, 0, 0, 7]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.units(self.pool(x)).mean((2, 3))


def colours() -> nn.Module:
    return Colours()


def infinite() -> nn.Module:
    network = Colours()
    network.units.bias.data[2] = torch.inf
    return network
