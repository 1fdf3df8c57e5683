"""Which part of a picture a cell of an output answers to, measured.

Two pictures of noise, and two that are half the one and half the other, go through the network.
In a map, the cells of the upper half resemble the picture whose upper half was taken, and those of
the left half the one whose left half was taken, whatever the network's weights are.
"""

from __future__ import annotations

import math

import torch

PICTURES = 4
"""How many pictures `pictures` returns."""

_BLOCK = 8  # pixels: noise of two scales, so that shallow and deep layers answer
_NUMBERS, _FEWEST_UNITS = 2**15, 8  # of a map that are looked at: more do not make it surer
_ROUNDING = 1e-5  # relative: a smaller difference between two pictures' outputs is none


def pictures(size: tuple[int, int]) -> torch.Tensor:
    """Return two pictures of noise; the second above the first, and to the left of it.

    Returns
    -------
    float32 tensor, shape (4, 3, height, width)
        About standard normal; the same in every call.
    """
    height, width = size
    random = torch.Generator().manual_seed(0)
    coarse = torch.randn(2, 3, *(-(-side // _BLOCK) for side in size), generator=random)
    coarse = coarse.repeat_interleave(_BLOCK, 2).repeat_interleave(_BLOCK, 3)
    fine = torch.randn(2, 3, height, width, generator=random)
    first, second = (coarse[:, :, :height, :width] + fine) / math.sqrt(2)
    above, left = first.clone(), first.clone()
    above[:, : height // 2] = second[:, : height // 2]
    left[:, :, : width // 2] = second[:, :, : width // 2]
    return torch.stack([first, second, above, left])


def preferences(maps: torch.Tensor, *, whole: bool = False) -> torch.Tensor:
    """Return how much more each cell resembles the second of `pictures` than the first.

    Parameters
    ----------
    maps : tensor, shape (4, units, height, width)
        Of `pictures`.
    whole : bool
        Compare the maps as they are, with what all cells have in common: attention gives much of
        each picture to all of them.

    Returns
    -------
    float32 tensor, shape (2, height, width)
        −1 (as the first) to 1 (as the second), of the picture with the second above, and of that
        with the second to the left; 0 where the pictures give the same.
    """
    units, cells = maps.shape[1], maps[0, 0].numel()
    maps = maps[:, :: -(-units // max(_FEWEST_UNITS, _NUMBERS // cells))].float()
    least = _ROUNDING**2 * maps.square().sum(1).mean()
    if not whole:
        maps = maps - maps.mean((2, 3), keepdim=True)
    first, second, *halves = maps
    preferred = []
    for half in halves:
        from_first, from_second = ((half - one).square().sum(0) for one in (first, second))
        total = from_first + from_second
        preferred.append(torch.where(total > least, (from_first - from_second) / total, 0.0))
    return torch.stack(preferred).cpu()


def agreement(preferred: torch.Tensor) -> float:
    """Return how well cells prefer the half that they lie in: about 0 by chance, at best 1.

    Parameters
    ----------
    preferred : tensor, shape (2, height, width)
        See `preferences`.

    Returns
    -------
    float
        The lower of the correlations upright and sideways.
    """
    _, height, width = preferred.shape
    rows = torch.sign(height - 1.0 - 2 * torch.arange(height))[:, None].expand(height, width)
    columns = torch.sign(width - 1.0 - 2 * torch.arange(width))[None].expand(height, width)
    expected = torch.stack([rows, columns]).flatten(1)
    seen = preferred.flatten(1)
    expected, seen = (one - one.mean(1, keepdim=True) for one in (expected, seen))
    scale = expected.norm(dim=1) * seen.norm(dim=1)
    return float(((expected * seen).sum(1) / scale.clamp_min(1e-30)).min())
