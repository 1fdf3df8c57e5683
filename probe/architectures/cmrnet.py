"""CMRNet, a network of cross-concatenated multi-scale residual blocks.

Only abstracts of its papers are public (Malladi, Mukhopadhyay, Larabi & Chaudhury, "Deriving
Explanation of Deep Visual Saliency Models", 2021; "Towards explainable deep visual saliency
models", CVIU 2023). They give the name. **The wiring, the widths, the encoders and the decoder are
ours**, and so is every number that this network gets: it is in their spirit, not their model.

The block's wiring is that of Li, Fang, Mei & Zhang, "Multi-scale Residual Network for Image
Super-Resolution", ECCV 2018.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from ...datasets.errors import InputError
from ..sources.weights import complaint, fill_what_fits, find, read_states, unfit

SIZE = (240, 320)

_GROUPS = 8  # of normalisation; by group, because training keeps a backbone's batch statistics
_DEEP, _SHALLOW = 128, 64  # units of the decoder
_WHOLE = "deep_block.fuse.weight"  # a key that only the whole network has


class CrossBlock(nn.Module):
    """Filters of 3×3 and 5×5 side by side, twice, each taking what both gave before.

    Both outputs are concatenated and given to both filters of the second stage, the other's first:
    the cross. A 1×1 convolution fuses the second stage, and the input is added.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.small1, self.small2 = (_filters(units, units // 2, 3) for _ in range(2))
        self.large1, self.large2 = (_filters(units, units // 2, 5) for _ in range(2))
        self.fuse = nn.Conv2d(units, units, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (n, units, h, w) to the same shape."""
        small, large = self.small1(maps), self.large1(maps)
        crossed = (
            self.small2(torch.cat([small, large], 1)),
            self.large2(torch.cat([large, small], 1)),
        )
        return maps + self.fuse(torch.cat(crossed, 1))


class CrossEncoder(nn.Module):
    """An encoder of cross blocks, to be trained from scratch."""

    units = (96, 192)

    def __init__(self) -> None:
        super().__init__()
        self.stem = _filters(3, 24, 3, stride=2)
        self.stage1 = nn.Sequential(_filters(24, 48, 3, stride=2), CrossBlock(48))
        self.stage2 = nn.Sequential(_filters(48, 96, 3, stride=2), CrossBlock(96))
        self.stage3 = nn.Sequential(_filters(96, 192, 3, stride=2), CrossBlock(192))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return maps at an eighth and a sixteenth of the images' size."""
        shallow = self.stage2(self.stage1(self.stem(images)))
        return shallow, self.stage3(shallow)


class SqueezeEncoder(nn.Module):
    """The convolutions of torchvision's SqueezeNet 1.0, whose keys it has."""

    units = (512, 512)
    _shallow = 10  # the last module before the maps are a sixteenth of the images

    def __init__(self) -> None:
        super().__init__()
        self.features = torchvision.models.squeezenet1_0(weights=None).features

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return maps at about an eighth and a sixteenth of the images' size."""
        shallow = self.features[: self._shallow + 1](images)
        return shallow, self.features[self._shallow + 1 :](shallow)


class CmrNet(nn.Module):
    """CMRNet up to the maps that a 1×1 convolution reads; `probe train` adds that.

    Parameters
    ----------
    encoder : CrossEncoder or SqueezeEncoder
    """

    def __init__(self, encoder: CrossEncoder | SqueezeEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        shallow, deep = encoder.units
        self.deep = _filters(deep, _DEEP, 1)
        self.deep_block = CrossBlock(_DEEP)
        self.shallow = _filters(shallow, _SHALLOW, 1)
        self.join = _filters(_DEEP + _SHALLOW, _SHALLOW, 1)
        self.block = CrossBlock(_SHALLOW)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (n, 3, h, w) to maps (n, 64, h / 8, w / 8)."""
        shallow, deep = self.encoder(images)
        deep = self.deep_block(self.deep(deep))
        deep = F.interpolate(deep, shallow.shape[-2:], mode="bilinear")
        return self.block(self.join(torch.cat([deep, self.shallow(shallow)], 1)))


def begin_with(network: CmrNet, path: Path, key: str | None, prefix: str | None) -> bool:
    """Fill the encoder with the weights in a file of these alone, such as ImageNet's.

    Parameters
    ----------
    network : CmrNet
    path : Path
    key, prefix : str, optional
        See `find`.

    Returns
    -------
    bool
        False, and nothing is done, if the file holds the whole network.

    Raises
    ------
    InputError
        If it lacks some of the encoder's.
    """
    states, _ = read_states(path)
    if any(key.endswith(_WHOLE) for state in states.values() for key in state):
        return False
    own = network.encoder.state_dict()
    found = find(path, own, key=key, prefix=prefix)
    if lacking := unfit(own, found.state):
        raise InputError(f"{path}: weights do not fit CMRNet's encoder; {complaint(lacking, [])}")
    fill_what_fits(own, found.state, {})
    return True


def _filters(units_in: int, units: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(units_in, units, size, stride, size // 2, bias=False),
        nn.GroupNorm(_GROUPS, units),
        nn.ReLU(inplace=True),
    )
