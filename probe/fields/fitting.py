"""Fitting shapes to receptive fields: by variable projection and Levenberg–Marquardt.

References
----------
Golub & Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
variables separate", SIAM Journal on Numerical Analysis 10(2), 1973. Kaufman, "A variable projection
method for solving separable nonlinear least squares problems", BIT 15, 1975. Marquardt, "An
algorithm for least-squares estimation of nonlinear parameters", SIAM Journal on Applied Mathematics
11(2), 1963.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from .shapes import KINDS, Kind

_STEPS = 60
_CHUNK = 256  # fields fitted together: bounds the memory
_START_DAMPING, _MOST_DAMPING = 1e-2, 1e4
_LEAST_GAIN = 1e-4  # relative, of a step's squared error: a fit that gains less is finished


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
    starts, templates, groups = _templates(kind, side)
    values = torch.from_numpy(fields.reshape(len(fields), side**2).astype(np.float64))
    scale = values.square().mean(1, keepdim=True).sqrt().clamp_min(1e-300)
    found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for part in (values / scale).split(_CHUNK) if len(values) else ():
        explained = torch.einsum("kg,tbg->tkb", part.float(), templates).square().sum(2)
        explained = explained.unflatten(0, (groups, -1))
        fits = [
            _refined(shape, starts[begin], part, x, y)
            for begin in _beginnings(explained, shape.beginnings)
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


def _beginnings(explained: torch.Tensor, count: int) -> torch.Tensor:
    """Return what each field's fits begin with, each of another group: (count, fields)."""
    groups, members, _ = explained.shape
    values, places = explained.max(1)
    places += torch.arange(groups)[:, None] * members
    return places.gather(0, values.topk(min(count, groups), dim=0).indices)


def _coordinates(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    places = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    y, x = torch.meshgrid(places, places, indexing="ij")
    return x.flatten(), y.flatten()


@lru_cache(maxsize=6)
def _templates(kind: str, side: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return parameters that fits may begin with, group by group, their bases, and the groups.

    Those of a group agree in `Kind.differ`; all have as many. The bases are orthonormal.
    """
    x, y = _coordinates(side)
    starts = torch.from_numpy(KINDS[kind].starts(side))
    _, group = torch.unique(starts[:, KINDS[kind].differ], dim=0, return_inverse=True)
    starts = starts[group.argsort(stable=True)]
    bases = _orthonormal(KINDS[kind].bases(starts, x, y))
    return starts, bases.float(), int(group.max()) + 1


def _orthonormal(bases: torch.Tensor) -> torch.Tensor:
    """Orthonormalise one or two basis functions; one that is not independent becomes 0."""
    rows: list[torch.Tensor] = []
    for basis in bases.unbind(1):
        rest = basis
        for other in rows:
            rest = rest - (rest * other).sum(1, keepdim=True) * other
        size = rest.norm(dim=1, keepdim=True)
        rows.append(torch.where(size > 1e-9, rest / size.clamp_min(1e-9), 0.0))
    return torch.stack(rows, 1)


def _refined(
    shape: Kind, begin: torch.Tensor, fields: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Improve all fits by Levenberg–Marquardt; returns parameters, amplitudes and fitted fields."""
    p, damping = begin.clone(), torch.full((len(begin),), _START_DAMPING, dtype=begin.dtype)
    bases = shape.bases(p, x, y)
    amplitudes, fitted = _projected(bases, fields)
    error = (fields - fitted).square().sum(1)
    going = torch.arange(len(begin))
    for _ in range(_STEPS):
        own, field, basis = p[going], fields[going], bases[going]
        # Kaufman's approximation: what of the slopes no change of the amplitudes makes up.
        slopes = shape.slopes(own, basis, amplitudes[going], x, y)
        slopes = slopes - _amplitudes(basis, slopes).transpose(1, 2) @ basis
        normal = slopes @ slopes.transpose(1, 2)
        diagonal = normal.diagonal(dim1=1, dim2=2).clamp_min(1e-9) * damping[going, None]
        downhill = slopes @ (field - fitted[going])[..., None]
        step = torch.linalg.solve(normal + torch.diag_embed(diagonal), downhill)[..., 0]
        tried = own + step.clamp(-1.0, 1.0)
        basis = shape.bases(tried, x, y)
        found, near = _projected(basis, field)
        left = (field - near).square().sum(1)
        better, slow = left < error[going], error[going] - left < _LEAST_GAIN * error[going]
        where = going[better]
        p[where], bases[where] = tried[better], basis[better]
        amplitudes[where], fitted[where], error[where] = found[better], near[better], left[better]
        damping[going] *= torch.where(better, 0.25, 6.0).to(damping.dtype)
        stuck = ~better & (damping[going] > _MOST_DAMPING)
        going = going[~((better & slow) | stuck)]
        if not len(going):
            break
    return p, amplitudes, fitted


def _projected(bases: torch.Tensor, fields: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the amplitudes (n, bases) nearest to fields (n, places), and the fields they give."""
    amplitudes = _amplitudes(bases, fields[:, None])[..., 0]
    return amplitudes, (amplitudes[:, None] @ bases)[:, 0]


def _amplitudes(bases: torch.Tensor, fields: torch.Tensor) -> torch.Tensor:
    """Return the amplitudes of several fields each: from (n, k, places) to (n, bases, k)."""
    gram = bases @ bases.transpose(1, 2)
    ridge = 1e-10 * gram.diagonal(dim1=1, dim2=2).sum(1) + 1e-30
    eye = torch.eye(bases.shape[1], dtype=bases.dtype)
    return torch.linalg.solve(gram + ridge[:, None, None] * eye, bases @ fields.transpose(1, 2))
