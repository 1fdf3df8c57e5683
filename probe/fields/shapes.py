"""Shapes of receptive fields: a Gaussian, a difference of Gaussians, a Gabor.

Each is amplitudes times basis functions of further parameters. Shapes are computed for many
parameters at once: p is float64 (n, parameters), and x and y are places in blocks from the centre
of the field, float64 (places,).

References
----------
Rodieck, "Quantitative analysis of cat retinal ganglion cell response to visual stimuli", Vision
Research 5(12), 1965 (difference of Gaussians). Jones & Palmer, "An evaluation of the
two-dimensional Gabor filter model of simple receptive fields in cat striate cortex", Journal of
Neurophysiology 58(6), 1987.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

RATIOS = 1.2, 6.0
"""Bounds of σ_s/σ_c: at 1 there would be no surround, far above it is not seen in the field."""

_PLACES = 9  # along a side, on the inner half of a field, where fits begin
_SIGMAS = 7
_ORIENTATIONS = 6
_ELONGATIONS = 0.5, 1.0, 2.0  # of a Gabor, along its stripes
_CYCLES = 0.05, 0.12, 0.2, 0.3, 0.4, 0.5  # of a Gabor, in a σ

Tensor = torch.Tensor


@dataclass(frozen=True)
class Kind:
    """A kind of shape.

    Attributes
    ----------
    bases : callable
        From p, x and y to the basis functions, (n, bases, places).
    slopes : callable
        From p, the basis functions there, amplitudes (n, bases), x and y to the shape's
        derivatives by the parameters at these amplitudes, (n, parameters, places).
    starts : callable
        From the side of the grid to parameters that fits may begin with, (n, parameters).
    differ : tuple of int
        Parameters in which the beginnings of one field's fits differ.
    beginnings : int
        How many fits of each field compete.
    """

    bases: Callable[[Tensor, Tensor, Tensor], Tensor]
    slopes: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
    starts: Callable[[int], np.ndarray]
    differ: tuple[int, ...]
    beginnings: int


def _from(p: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the places as seen from each shape's centre, its first two parameters."""
    return x - p[:, 0, None], y - p[:, 1, None]


def gaussian(p: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return one Gaussian, of x, y, log σ."""
    dx, dy = _from(p, x, y)
    return torch.exp(-0.5 * (dx**2 + dy**2) * torch.exp(-2 * p[:, 2, None]))[:, None]


def _gaussian_slopes(p: Tensor, bases: Tensor, amplitudes: Tensor, x: Tensor, y: Tensor) -> Tensor:
    dx, dy = _from(p, x, y)
    narrow = torch.exp(-2 * p[:, 2, None])
    inner = amplitudes * bases[:, 0] * narrow
    return torch.stack([inner * dx, inner * dy, inner * (dx**2 + dy**2)], 1)


def difference(p: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return a difference of Gaussians.

    Of x, y, log σ_c, and the logits of σ_s/σ_c within `RATIOS` and of A_s/A_c.
    """
    dx, dy = _from(p, x, y)
    square = -0.5 * (dx**2 + dy**2) * torch.exp(-2 * p[:, 2, None])
    centre, surround = torch.exp(square), torch.exp(square / _ratio(p) ** 2)
    return (centre - torch.sigmoid(p[:, 4, None]) * surround)[:, None]


def _ratio(p: Tensor) -> Tensor:
    return RATIOS[0] + (RATIOS[1] - RATIOS[0]) * torch.sigmoid(p[:, 3, None])


def _difference_slopes(
    p: Tensor, bases: Tensor, amplitudes: Tensor, x: Tensor, y: Tensor
) -> Tensor:
    dx, dy = _from(p, x, y)
    ratio, share = _ratio(p), torch.sigmoid(p[:, 4, None])
    narrow, square = torch.exp(-2 * p[:, 2, None]), dx**2 + dy**2
    surround = share * torch.exp(-0.5 * square * narrow / ratio**2)
    wide = narrow * surround / ratio**2
    inner = narrow * (bases[:, 0] + surround) - wide
    unfolding = torch.sigmoid(p[:, 3, None])
    of_ratio = (RATIOS[1] - RATIOS[0]) * unfolding * (1 - unfolding) / ratio
    slopes = [inner * dx, inner * dy, inner * square, -wide * square * of_ratio]
    return amplitudes[..., None] * torch.stack([*slopes, -(1 - share) * surround], 1)


def gabor(p: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return a Gabor, even and odd.

    Of x, y, log σ across its stripes and along them, orientation, log frequency.
    """
    across, along = _across_along(p, x, y)
    narrow, wide = torch.exp(-2 * p[:, 2, None]), torch.exp(-2 * p[:, 3, None])
    envelope = torch.exp(-0.5 * (across**2 * narrow + along**2 * wide))
    angle = 2 * math.pi * torch.exp(p[:, 5, None]) * across
    return torch.stack([envelope * torch.cos(angle), envelope * torch.sin(angle)], 1)


def _across_along(p: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return places across and along the stripes of each shape."""
    dx, dy = _from(p, x, y)
    cosine, sine = torch.cos(p[:, 4, None]), torch.sin(p[:, 4, None])
    return dx * cosine + dy * sine, dy * cosine - dx * sine


def _gabor_slopes(p: Tensor, bases: Tensor, amplitudes: Tensor, x: Tensor, y: Tensor) -> Tensor:
    across, along = _across_along(p, x, y)
    even, odd = bases.unbind(1)
    a, b = amplitudes[:, 0, None], amplitudes[:, 1, None]
    value = a * even + b * odd
    turned = 2 * math.pi * torch.exp(p[:, 5, None]) * (b * even - a * odd)
    by_across = turned - across * torch.exp(-2 * p[:, 2, None]) * value
    by_along = -along * torch.exp(-2 * p[:, 3, None]) * value
    cosine, sine = torch.cos(p[:, 4, None]), torch.sin(p[:, 4, None])
    return torch.stack(
        [
            by_along * sine - by_across * cosine,
            -by_across * sine - by_along * cosine,
            across**2 * torch.exp(-2 * p[:, 2, None]) * value,
            -along * by_along,
            by_across * along - by_along * across,
            turned * across,
        ],
        1,
    )


def _places(side: int) -> list[tuple[float, float]]:
    places = np.unique(np.linspace(-side / 4, side / 4, min(_PLACES, side)).round(6))
    return list(itertools.product(places, places))


def _log_sigmas(side: int, count: int = _SIGMAS) -> np.ndarray:
    return np.linspace(math.log(0.5), math.log(side / 3), count)


def _gaussian_starts(side: int) -> np.ndarray:
    return np.array([(*p, s) for p in _places(side) for s in _log_sigmas(side)])


def _difference_starts(side: int) -> np.ndarray:
    ratios = [_logit((ratio - RATIOS[0]) / (RATIOS[1] - RATIOS[0])) for ratio in (1.5, 2, 3.5)]
    shares = [_logit(share) for share in (0.1, 0.4, 0.8)]
    options = itertools.product(_places(side), _log_sigmas(side), ratios, shares)
    return np.array([(*p, s, ratio, share) for p, s, ratio, share in options])


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _gabor_starts(side: int) -> np.ndarray:
    thetas = np.arange(_ORIENTATIONS) * math.pi / _ORIENTATIONS
    options = itertools.product(
        _places(side)[::2], _log_sigmas(side, 4)[1:], _ELONGATIONS, thetas, _CYCLES
    )
    return np.array(
        [(*p, s, s + math.log(e), theta, math.log(c) - s) for p, s, e, theta, c in options]
    )


KINDS = {
    "gaussian": Kind(gaussian, _gaussian_slopes, _gaussian_starts, (2,), 7),
    "dog": Kind(difference, _difference_slopes, _difference_starts, (2,), 7),
    "gabor": Kind(gabor, _gabor_slopes, _gabor_starts, (2, 3, 4, 5), 24),
}
