"""Shapes fitted to receptive fields: a Gaussian, a difference of Gaussians, a Gabor.

References
----------
Rodieck, "Quantitative analysis of cat retinal ganglion cell response to visual stimuli", Vision
Research 5(12), 1965 (difference of Gaussians). Jones & Palmer, "An evaluation of the
two-dimensional Gabor filter model of simple receptive fields in cat striate cortex", Journal of
Neurophysiology 58(6), 1987. Marquardt, "An algorithm for least-squares estimation of nonlinear
parameters", SIAM Journal on Applied Mathematics 11(2), 1963.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.func import jacfwd, vmap

RATIOS = 1.2, 6.0
"""Bounds of σ_s/σ_c: at 1 there would be no surround, far above it is not seen in the field."""

_STEPS = 20
_CHUNK = 256  # fields fitted together: bounds the memory
_START_DAMPING, _MOST_DAMPING = 1e-2, 1e4
_LEAST_GAIN = 1e-4  # relative, of a step's squared error: a fit that gains less is finished
_PLACES = 9  # along a side, on the inner half of a field, where fits begin
_SIGMAS = 7
_ORIENTATIONS = 6
_ELONGATIONS = 0.5, 1.0, 2.0  # of a Gabor, along its stripes
_CYCLES = 0.05, 0.12, 0.2, 0.3, 0.4, 0.5  # of a Gabor, in a σ

Shape = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Kind:
    """A shape: amplitudes times basis functions of further parameters.

    Attributes
    ----------
    bases : callable
        From parameters, x and y (1-D, in blocks from the centre of the field) to the basis
        functions, shape (bases, n).
    starts : callable
        From the side of the grid to parameters that fits may begin with, (n, parameters).
    differ : tuple of int
        Parameters in which the beginnings of one field's fits differ.
    beginnings : int
        How many fits of each field compete.
    """

    bases: Shape
    starts: Callable[[int], np.ndarray]
    differ: tuple[int, ...]
    beginnings: int


def _gaussian(place: torch.Tensor, log_sd: torch.Tensor, x: torch.Tensor, y: torch.Tensor):
    square = (x - place[0]) ** 2 + (y - place[1]) ** 2
    return torch.exp(-0.5 * square * torch.exp(-2 * log_sd))


def gaussian(p: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return one Gaussian, of x, y, log σ."""
    return _gaussian(p[:2], p[2], x, y)[None]


def difference(p: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return a difference of Gaussians.

    Of x, y, log σ_c, and the logits of σ_s/σ_c within `RATIOS` and of A_s/A_c.
    """
    surround_sd = p[2] + torch.log(RATIOS[0] + (RATIOS[1] - RATIOS[0]) * torch.sigmoid(p[3]))
    centre, surround = _gaussian(p[:2], p[2], x, y), _gaussian(p[:2], surround_sd, x, y)
    return (centre - torch.sigmoid(p[4]) * surround)[None]


def gabor(p: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return a Gabor, even and odd.

    Of x, y, log σ across its stripes and along them, orientation, log frequency.
    """
    across = (x - p[0]) * torch.cos(p[4]) + (y - p[1]) * torch.sin(p[4])
    along = (y - p[1]) * torch.cos(p[4]) - (x - p[0]) * torch.sin(p[4])
    envelope = torch.exp(
        -0.5 * (across**2 * torch.exp(-2 * p[2]) + along**2 * torch.exp(-2 * p[3]))
    )
    angle = 2 * math.pi * torch.exp(p[5]) * across
    return torch.stack([envelope * torch.cos(angle), envelope * torch.sin(angle)])


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
    "gaussian": Kind(gaussian, _gaussian_starts, (2,), 1),
    "dog": Kind(difference, _difference_starts, (2,), 3),
    "gabor": Kind(gabor, _gabor_starts, (2, 3, 4, 5), 24),
}


@dataclass(frozen=True, eq=False)
class Fit:
    """Shapes fitted to fields by least squares.

    Attributes
    ----------
    parameters : float64 tensor, shape (n, parameters)
        Of the kind's basis functions.
    amplitudes : float64 tensor, shape (n, bases)
    fitted : float64 array, shape (n, height, width)
    """

    parameters: torch.Tensor
    amplitudes: torch.Tensor
    fitted: np.ndarray


def fit(kind: str, fields: np.ndarray) -> Fit:
    """Fit a shape to fields, each its own, by variable projection and Levenberg–Marquardt.

    Of many shapes, the best of each size (of a Gabor: size, orientation and frequency) compete;
    fits begin with the best of these (see `Kind`), and the closest counts. All go on together.

    Parameters
    ----------
    kind : {"gaussian", "dog", "gabor"}
    fields : float array, shape (n, side, side)
        Finite.

    Notes
    -----
    Amplitudes follow from the other parameters by linear least squares. The surround's is at most
    the centre's, and has the other sign.
    """
    side = fields.shape[1]
    shape = KINDS[kind]
    x, y = _coordinates(side)
    starts, templates = _templates(kind, side)
    values = torch.from_numpy(fields.reshape(len(fields), side**2).astype(np.float64))
    scale = values.square().mean(1, keepdim=True).sqrt().clamp_min(1e-300)
    found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for part in (values / scale).split(_CHUNK) if len(values) else ():
        explained = torch.einsum("kg,tbg->ktb", part.float(), templates).square().sum(2)
        fits = [
            _refined(shape.bases, starts[begin], part, x, y)
            for begin in _beginnings(explained, starts[:, shape.differ], shape.beginnings)
        ]
        error = torch.stack([(part - one[2]).square().sum(1) for one in fits])
        best = error.argmin(0), torch.arange(len(part))
        one, two, three = (torch.stack(each)[best] for each in zip(*fits, strict=True))
        found.append((one, two, three))
    if not found:
        nothing = torch.zeros((0, starts.shape[1]), dtype=torch.float64)
        return Fit(nothing, nothing[:, :1], np.zeros(fields.shape))
    parameters, amplitudes, fitted = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Fit(parameters, amplitudes * scale, (fitted * scale).reshape(fields.shape).numpy())


def _beginnings(explained: torch.Tensor, differ: torch.Tensor, count: int) -> torch.Tensor:
    """Return what each field's fits begin with, each of another kind: (count, fields)."""
    _, group = torch.unique(differ, dim=0, return_inverse=True)
    best = [explained.masked_fill(group != one, -1).max(1) for one in range(int(group.max()) + 1)]
    values, places = (torch.stack(each) for each in zip(*best, strict=True))
    order = values.topk(min(count, len(values)), dim=0).indices
    return places.gather(0, order)


def _coordinates(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    places = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    y, x = torch.meshgrid(places, places, indexing="ij")
    return x.flatten(), y.flatten()


@lru_cache(maxsize=6)
def _templates(kind: str, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the parameters that fits may begin with, and their orthonormal basis functions."""
    x, y = _coordinates(side)
    starts = torch.from_numpy(KINDS[kind].starts(side))
    bases = vmap(lambda p: _orthonormal(KINDS[kind].bases(p, x, y)))(starts)
    return starts, bases.float()


def _orthonormal(bases: torch.Tensor) -> torch.Tensor:
    """Orthonormalise one or two basis functions; one that is not independent becomes 0."""
    rows: list[torch.Tensor] = []
    for basis in bases:
        rest = basis
        for other in rows:
            rest = rest - (rest @ other) * other
        size = rest.norm()
        rows.append(torch.where(size > 1e-9, rest / size.clamp_min(1e-9), 0.0))
    return torch.stack(rows)


def _refined(
    bases: Shape, begin: torch.Tensor, fields: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Improve all fits by Levenberg–Marquardt; returns parameters, amplitudes and fitted fields."""

    def amplitudes_of(p: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
        basis = bases(p, x, y)
        gram = basis @ basis.T
        ridge = 1e-10 * gram.diagonal().sum() + 1e-30
        eye = torch.eye(len(basis), dtype=field.dtype)
        return torch.linalg.solve(gram + ridge * eye, basis @ field)

    def model(p: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
        return amplitudes_of(p, field) @ bases(p, x, y)

    def slope(p: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's, of what it uses itself
            return vmap(jacfwd(model))(p, field)

    run = vmap(model)
    p, damping = begin.clone(), torch.full((len(begin),), _START_DAMPING, dtype=begin.dtype)
    residual = fields - run(p, fields)
    error = residual.square().sum(1)
    going = torch.arange(len(begin))
    for _ in range(_STEPS):
        own, field = p[going], fields[going]
        jacobian = slope(own, field)
        normal = jacobian.transpose(1, 2) @ jacobian
        diagonal = normal.diagonal(dim1=1, dim2=2).clamp_min(1e-9) * damping[going, None]
        downhill = (jacobian.transpose(1, 2) @ residual[going, :, None])[..., 0]
        step = torch.linalg.solve(normal + torch.diag_embed(diagonal), downhill)
        tried = own + step.clamp(-1.0, 1.0)
        left = field - run(tried, field)
        gain = error[going] - left.square().sum(1)
        better, slow = gain > 0, gain < _LEAST_GAIN * error[going]
        where = going[better]
        p[where], residual[where] = tried[better], left[better]
        error[where] = residual[where].square().sum(1)
        damping[going] *= torch.where(better, 0.25, 6.0).to(damping.dtype)
        stuck = ~better & (damping[going] > _MOST_DAMPING)
        going = going[~((better & slow) | stuck)]
        if not len(going):
            break
    return p, vmap(amplitudes_of)(p, fields), run(p, fields)
