"""Networks that tests name as nets:FACTORY."""

import math
import warnings

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


class Small(nn.Module):
    """Three convolutions, one of them normalised, and a classifier that no map depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU())
        self.two = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.three = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU())
        self.classifier = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.three(self.two(self.one(x))).mean((2, 3)))


def small() -> nn.Module:
    torch.manual_seed(5)
    return Small()


def wide() -> nn.Module:
    """Return the small network with as many units as an ablation needs."""
    torch.manual_seed(5)
    network = Small()
    network.three[0] = nn.Conv2d(6, 24, 3, padding=1)
    network.classifier = nn.Linear(24, 5)
    return network


def other_colours() -> nn.Module:
    network = Colours()
    network.units.weight.data[[0, 1]] = network.units.weight.data[[1, 0]]
    return network


def reddish() -> nn.Module:
    """Return a network whose output is one map."""
    network = nn.Conv2d(3, 1, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([1.0, -0.5, -0.25])[None, :, None, None])
    return network


def compiled() -> nn.Module:
    """A network whose layers cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to give it up
        return torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))


class _Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return {}["nothing"]


def failing() -> nn.Module:
    """A network that raises what no network should."""
    return _Failing()


class _Windowed(nn.Module):
    """Maps, and the same cut into windows, as a block."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 4, 4, stride=4)
        self.windows = nn.Sequential(nn.Linear(4, 5), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        cut = self.maps(x).unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 4, 5, 1)
        return self.windows(cut.reshape(-1, 4, 4)).reshape(len(x), -1, 5).mean(1)


def windowed() -> nn.Module:
    """A network with layers that are no maps."""
    torch.manual_seed(2)
    return _Windowed()


def silent() -> nn.Module:
    """`Small`, whose last unit but five never fires."""
    network = small()
    network.three[0].bias.data[2] = -1e6  # type: ignore[index]
    return network


FIELD = 15  # pixels
DOGS = ((1.2, 2.4, 0.9), (1.5, 4.0, 1.0), (2.0, 3.2, 0.8))  # σ_c, σ_s, balance


class Filters(nn.Module):
    """Units that are known filters of 15×15 pixels, two pixels apart: see `filter_bank`."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Sequential(nn.Conv2d(3, len(filter_bank()), FIELD, stride=2), nn.ReLU())
        with torch.no_grad():
            self.filters[0].weight.copy_(filter_bank())
            self.filters[0].bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.filters(x).mean((2, 3))


def filter_bank() -> torch.Tensor:
    """Return filters, (units, 3, 15, 15): three differences of Gaussians, two Gaussians, Gabors.

    The second is red–green, the third's centre inhibits; the last unit answers to nothing.
    """
    places = torch.arange(FIELD) - FIELD // 2.0
    y, x = torch.meshgrid(places, places, indexing="ij")
    square = x**2 + y**2
    shapes = []
    for sign, (centre, surround, balance) in zip((1, 1, -1), DOGS, strict=True):
        weight = balance * centre**2 / surround**2
        inner, outer = (torch.exp(-square / (2 * sd**2)) for sd in (centre, surround))
        shapes.append(sign * (inner - weight * outer))
    shapes += [torch.exp(-square / (2 * sd**2)) for sd in (1.5, 2.5)]
    for angle, phase in ((0.0, 0.0), (0.8, 1.5), (2.0, 3.0)):
        along = x * math.cos(angle) + y * math.sin(angle)
        shapes.append(torch.exp(-square / 12) * torch.cos(2 * math.pi * along / 6 + phase))
    shapes.append(torch.zeros(FIELD, FIELD))
    bank = torch.stack(shapes)[:, None] * torch.tensor([1.0, 1.0, 1.0])[:, None, None]
    bank[1] *= torch.tensor([1.0, -1.0, 0.0])[:, None, None]
    return bank


def filters() -> nn.Module:
    return Filters()
