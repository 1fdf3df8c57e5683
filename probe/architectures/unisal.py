"""UNISAL, one network for pictures and videos; here its path for still pictures.

References
----------
Droste, Jiao & Noble, "Unified Image and Video Saliency Modeling", ECCV 2020, with the released
configuration and weights. A picture is a video of one frame, for which the authors bypass the
recurrent unit in every domain.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from ..sources.description import IMAGENET_MEAN, IMAGENET_SD
from .mobile import InvertedResidual, convolution, depthwise, mobile_encoder
from .saliency_network import SaliencyNetwork, check_sides

Domain = Literal["DHF1K", "Hollywood", "UCFSports", "SALICON"]
"""The data set whose statistics, priors, readout and smoothing the network uses."""

DOMAINS: tuple[Domain, ...] = ("DHF1K", "Hollywood", "UCFSports", "SALICON")
STRIDE = 32
SIZE = (288, 384)
"""The input's size for SALICON, and for any picture of 3:4."""

_SMOOTHING = 41  # side of the smoothing filter
_PEAK = 6.0  # of the priors
_FEAT_4X, _FEAT_2X = 7, 14  # blocks of the encoder that skip connections start from


class DomainNorm(nn.Module):
    """A batch normalisation for each domain, of which one is used."""

    def __init__(self, units: int, domain: Domain) -> None:
        super().__init__()
        for name in DOMAINS:
            momentum = 0.1 if name == "SALICON" else 0.01
            self.add_module(f"bn_{name}", nn.BatchNorm2d(units, momentum=momentum))
        self.domain = domain

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Normalise (n, units, h, w)."""
        return self.get_submodule(f"bn_{self.domain}")(maps)


class Skip(nn.Module):
    """A skip connection: expanded twofold and reduced."""

    def __init__(self, units_in: int, units: int, domain: Domain) -> None:
        super().__init__()
        self.expansion = _point(units_in, 2 * units_in, domain)
        self.dropout = nn.Dropout2d(0.6)
        self.reduction = nn.Sequential(nn.Conv2d(2 * units_in, units, 1), DomainNorm(units, domain))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (n, units_in, h, w) to (n, units, h, w)."""
        return self.reduction(self.dropout(self.expansion(maps)))


class Unisal(SaliencyNetwork):
    """UNISAL for still pictures: from images to the log density of fixations.

    Its state dict has the 835 keys of the published weights, those of the recurrent unit
    included, which pictures bypass.

    Parameters
    ----------
    domain : Domain
    """

    def __init__(self, domain: Domain = "SALICON") -> None:
        super().__init__()
        norm = partial(DomainNorm, domain=domain)
        self.domain = domain
        for name in DOMAINS:
            setattr(self, f"coarse_gaussians_{name.lower()}", nn.Parameter(_first_priors()))
        features, self._halved = mobile_encoder()
        self.cnn = nn.Sequential(OrderedDict(features=features))
        prior_units = len(_first_priors())
        plain = partial(nn.BatchNorm2d, momentum=0.01)
        self.post_cnn = _named(inv_res=InvertedResidual(1280 + prior_units, 256, 1, plain))
        self.rnn = nn.Module()
        self.rnn.cell_list = nn.ModuleList([_RecurrentWeights(256, domain)])
        self.post_rnn = _point(256, 256, domain)
        self.upsampling_1 = _named(us1=_doubling())
        self.skip_2x = Skip(160, 128, domain)
        self.upsampling_2 = _named(
            inv_res=InvertedResidual(256 + 128, 128, 2, norm), us2=_doubling()
        )
        self.skip_4x = Skip(64, 64, domain)
        self.post_upsampling_2 = _named(inv_res=InvertedResidual(128 + 64, 64, 2, norm))
        for name in DOMAINS:
            smoothing = nn.Conv2d(1, 1, _SMOOTHING, bias=False)
            smoothing.weight.data = _first_smoothing()
            self.add_module(f"adaptation_{name.lower()}", nn.Sequential(nn.Conv2d(64, 1, 1)))
            self.add_module(f"smoothing_{name.lower()}", smoothing)

    def forward(self, images: torch.Tensor, size: tuple[int, int] | None = None) -> torch.Tensor:
        """Return the log density of fixations, whose exponential sums to 1 over each map.

        Parameters
        ----------
        images : float32 tensor, shape (n, 3, height, width)
            ImageNet-normalised; sides are multiples of 32.
        size : (height, width), optional
            Size of the maps; by default that of the images.

        Returns
        -------
        float32 tensor, shape (n, 1, height, width)
        """
        check_sides(images, STRIDE, "UNISAL")
        suffix, maps = self.domain.lower(), images
        kept: dict[int, torch.Tensor] = {}
        for index, block in enumerate(cast(nn.Sequential, self.cnn.features)):
            maps = block(maps)
            if index in (_FEAT_4X, _FEAT_2X):
                kept[index] = maps
            if index in self._halved:
                maps = maps[..., ::2, ::2]
        priors = prior_maps(self.get_parameter(f"coarse_gaussians_{suffix}"), maps.shape[-2:])
        maps = torch.cat([maps, priors.expand(len(maps), -1, -1, -1)], 1)
        maps = self.upsampling_1(self.post_cnn(maps))
        maps = self.upsampling_2(torch.cat([maps, self.skip_2x(kept[_FEAT_2X])], 1))
        maps = self.post_upsampling_2(torch.cat([maps, self.skip_4x(kept[_FEAT_4X])], 1))
        maps = self.get_submodule(f"adaptation_{suffix}")(maps)
        maps = F.interpolate(maps, images.shape[-2:], mode="nearest")
        maps = F.pad(maps, (_SMOOTHING // 2,) * 4, mode="replicate")
        maps = self.get_submodule(f"smoothing_{suffix}")(maps)
        maps = F.interpolate(maps, size or images.shape[-2:], mode="bilinear")
        return maps.flatten(1).log_softmax(1).view_as(maps)

    def predict(self, picture: np.ndarray) -> np.ndarray:
        """Return the log density of fixations on a picture, of the picture's size.

        The picture is resized to `input_size` by a Lanczos filter.
        """
        height, width = input_size((picture.shape[0], picture.shape[1]))
        small = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
        pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 255
        mean, sd = (torch.tensor(one)[:, None, None] for one in (IMAGENET_MEAN, IMAGENET_SD))
        with torch.inference_mode():
            return self((pixels - mean) / sd, picture.shape[:2])[0, 0].numpy()


def input_size(picture: tuple[int, int]) -> tuple[int, int]:
    """Return the input's size for a picture's, (height, width).

    Of the sizes of 7 to 13 times 32 by 7 to 13 times 32 pixels, with 100 to 120 cells of 32×32, it
    is the first whose aspect ratio is closest.

    Examples
    --------
    >>> from salprobe.probe.architectures.unisal import input_size
    >>> input_size((600, 800)), input_size((1080, 1920))
    ((288, 384), (256, 416))
    """
    ratio = picture[0] / picture[1]
    sides = [(n1, n2) for n1, n2 in product(range(7, 14), repeat=2) if 100 <= n1 * n2 <= 120]
    rows, columns = max(sides, key=lambda n: min(ratio, n[0] / n[1]) / max(ratio, n[0] / n[1]))
    return rows * STRIDE, columns * STRIDE


def prior_maps(gaussians: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Return Gaussian maps of a size, not normalised.

    Parameters
    ----------
    gaussians : tensor, shape (k, 2, 2)
        For y and x the mean, in 0 to 1 from the first cell to the last, and the logarithm of the
        standard deviation.
    size : (height, width)

    Returns
    -------
    tensor, shape (k, height, width)
    """
    lines = []
    for axis, cells in enumerate(size):
        place = torch.linspace(0, 1, cells, dtype=gaussians.dtype, device=gaussians.device)
        mean, sd = gaussians[:, axis, :1], gaussians[:, axis, 1:].exp()
        lines.append(torch.exp(-(((place - mean) / sd) ** 2) / 2))
    return _PEAK * lines[0][:, :, None] * lines[1][:, None, :]


class _RecurrentWeights(nn.Module):
    """The weights of the recurrent unit for videos: kept with the others, and not used."""

    def __init__(self, units: int, domain: Domain) -> None:
        super().__init__()
        for name in ("b_r", "b_z", "b_h"):
            self.register_parameter(name, nn.Parameter(torch.zeros(units, 1, 1)))
        for gate, of in product("rzh", "xh"):
            self.register_parameter(f"a_{gate}_{of}", nn.Parameter(torch.ones(units, 1, 1)))
        self.register_buffer("drop_mask_1", torch.ones(3, units))
        for gate, of in product(("r", "z", "out"), "xh"):
            self.add_module(f"norm_{gate}_{of}", DomainNorm(units, domain))
        for name in ("w_r", "u_r", "w_z", "u_z", "w", "u"):
            filters = _named(
                conv_dw=depthwise(units),
                sep_bn=DomainNorm(units, domain),
                sep_relu=nn.ReLU6(),
                conv_sep=convolution(units, units),
            )
            self.add_module(name, filters)


def _first_priors() -> torch.Tensor:
    """Return the priors that training began with, (16, 2, 2)."""
    thirds = (0.25, 0.5, 0.75)
    rows = [((y, -1.5), (x, -1.5)) for y, x in product(thirds, repeat=2)]
    rows += [((0.5, 0.0), (x, -1.5)) for x in thirds]
    rows += [((y, -1.5), (0.5, 0.0)) for y in thirds]
    return torch.tensor([*rows, ((0.5, 0.0), (0.5, 0.0))])


def _first_smoothing() -> torch.Tensor:
    """Return the smoothing filter that training began with, (1, 1, 41, 41): a Gaussian."""
    gaussian = prior_maps(torch.tensor([[[0.5, -2.0]] * 2]), (_SMOOTHING, _SMOOTHING))
    return (gaussian / gaussian.sum())[None]


def _point(units_in: int, units: int, domain: Domain) -> nn.Sequential:
    return nn.Sequential(
        convolution(units_in, units), DomainNorm(units, domain), nn.ReLU6(inplace=True)
    )


def _doubling() -> nn.Sequential:
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"))


def _named(**modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))
