"""The colours that a network's first layer tells apart, compared with known colour spaces.

References
----------
Björck & Golub, "Numerical methods for computing angles between linear subspaces", Mathematics of
Computation 27, 1973. Malladi et al., CVIU 2023 (that CMRNet's first layer is very close to YUV).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np
import pandas as pd
import torch
from scipy.linalg import subspace_angles
from skimage.color import rgb2lab
from torch import nn

from ...datasets.errors import InputError
from ..networks.model import Model
from ..saliency.classical.pyramids import dkl
from ..sources.gabor import LUMINANCE

RESAMPLES = 1000
_RANDOM = 10000  # frames at random
_STEP = 1e-3

_KR, _, _KB = LUMINANCE
_Y = np.array(LUMINANCE)
_LINEAR = {
    "RGB": (("R", "G", "B"), np.eye(3)),
    "YUV": (
        ("Y", "U", "V"),
        np.stack([_Y, ([0, 0, 1] - _Y) / (1 - _KB), ([1, 0, 0] - _Y) / (1 - _KR)]),
    ),
    "opponent": (
        ("black–white", "red–green", "blue–yellow"),
        np.array([[1, 1, 1], [1, -1, 0], [-0.5, -0.5, 1]]),
    ),
}


@dataclass(frozen=True, eq=False)
class ColourSpaces:
    """The principal axes of a first layer's filters, and their distance from colour spaces.

    Attributes
    ----------
    name, layer : str
        The network, and the module whose filters they are.
    filters : int
    shares : float64 array, shape (3,)
        Energy of the filters' weights on each principal axis; sums to 1.
    axes : float64 array, shape (3, 3)
        The axes, in red, green and blue; rows, of norm 1.
    spaces : DataFrame
        A row for each space, the nearest first: ``space, names``; ``angle, low, high``, the mean
        angle between its axes and the principal ones, in degrees, with its 95 % interval over
        filters; ``chance``, the share of random orthogonal axes that lie as near; ``angle_1`` …,
        the angle of each principal axis; ``share_1`` …, the energy on the space's axes, made
        orthogonal one after the other; ``plane``, the larger principal angle between the planes of
        the first two axes.
    """

    name: str
    layer: str
    filters: int
    shares: np.ndarray
    axes: np.ndarray
    spaces: pd.DataFrame


def colour_spaces() -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Return the spaces that filters are compared with: their axes' names, and the axes.

    RGB, YUV (BT.601) and the opponent axes are linear. Lab (D65, of sRGB) and DKL are not: their
    axes are the gradients at middle grey.

    Returns
    -------
    dict of (names, float64 array of shape (3, 3))
        Rows are axes in red, green and blue, of norm 1.
    """
    curved = {
        "Lab": (("L", "a", "b"), _gradients(lambda rgb: rgb2lab(rgb))),
        "DKL": (
            ("luminance", "red–green", "blue–yellow"),
            _gradients(lambda rgb: np.stack(dkl(*np.moveaxis(rgb[None], -1, 0)), -1)[0]),
        ),
    }
    spaces = {**_LINEAR, **curved}
    return {
        name: (names, axes / np.linalg.norm(axes, axis=1, keepdims=True))
        for name, (names, axes) in spaces.items()
    }


def colour(model: Model, *, seed: int = 0) -> ColourSpaces:
    """Compare the colours of a network's first filters with known colour spaces.

    A filter weighs red, green and blue at each of its places: a vector of colour. The principal
    axes of all these vectors, weighted by their energy, are those along which the layer sees
    colour. They are found for pictures of 0 to 1 in RGB, whatever the network's normalisation.

    Parameters
    ----------
    model : Model
    seed : int
        For the resampling.

    Returns
    -------
    ColourSpaces

    Raises
    ------
    InputError
        If the network has no convolution of three channels to begin with, or its weights are all 0.

    Notes
    -----
    Nearly all first layers span all of RGB, so the subspace as such tells nothing; its axes do.

    Examples
    --------
    >>> import salprobe as sp
    >>> found = sp.colour(sp.load_model("squeezenet1_0", "random"))
    >>> found.layer, found.filters, len(found.spaces)
    ('features.0', 96, 5)
    """
    layer, weights = _first_filters(model)
    weights = weights / np.asarray(model.sd)[None, :, None]
    moments = np.einsum("nct,ndt->ncd", weights, weights)  # of each filter
    if not np.isfinite(moments).all() or not moments.any():
        raise InputError(f"{model.name}: the weights of {layer} are all 0, or not finite")
    shares, axes = _principal(moments.sum(0))
    rng = np.random.default_rng(seed)
    n = len(moments)
    drawn = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES)
    resampled = _principal(np.tensordot(drawn, moments, 1))[1]
    rows = []
    for space, (names, own) in colour_spaces().items():
        matched = _matched(axes[None], own)[0]
        angle = float(matched.mean())
        spread = _matched(resampled, own).mean(1)
        low, high = np.percentile(spread, (2.5, 97.5)) if n > 1 else (np.nan, np.nan)
        frame = np.linalg.qr(own.T)[0].T
        energy = np.einsum("kc,cd,kd->k", frame, moments.sum(0), frame)
        plane = float(np.degrees(subspace_angles(axes[:2].T, own[:2].T).max()))
        rows.append(
            {
                **{"space": space, "names": ", ".join(names), "angle": angle},
                **{"low": low, "high": high, "chance": float((_by_chance(space) <= angle).mean())},
                **{f"angle_{k}": one for k, one in enumerate(matched, start=1)},
                **{f"share_{k}": one for k, one in enumerate(energy / energy.sum(), start=1)},
                "plane": plane,
            }
        )
    table = pd.DataFrame(rows).sort_values("angle", kind="stable", ignore_index=True)
    return ColourSpaces(model.name, layer, n, shares, axes, table)


def _first_filters(model: Model) -> tuple[str, np.ndarray]:
    """Return the first module called, that takes three channels; weights (filters, 3, places)."""
    called: list[tuple[str, nn.Module]] = []
    handles = [
        module.register_forward_hook(
            lambda module, _inputs, _output, name=name: called.append((str(name), module))
        )
        for name, module in model.network.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        with torch.inference_mode():
            model.network(torch.zeros(1, 3, *model.input_size))
    finally:
        for handle in handles:
            handle.remove()
    for name, module in called[:1]:
        weight = module.weight
        if isinstance(weight, torch.Tensor) and weight.shape[1] == 3:
            return name, weight.detach().double().flatten(2).numpy()
    raise InputError(
        f"{model.name}: its first layer is no convolution of red, green and blue, so it has no "
        "filters to compare"
    )


def _principal(moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares and principal axes (rows) of second moments, (…, 3, 3), the largest first.

    An axis's largest weight is positive.
    """
    values, vectors = np.linalg.eigh(moment)
    axes = np.swapaxes(vectors, -1, -2)[..., ::-1, :]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(-1)[..., None], -1)
    shares = values[..., ::-1] / values.sum(-1, keepdims=True)
    return shares, axes * np.sign(largest)


def _matched(axes: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the angles of axes, (n, 3, 3), to a space's, each matched with one: (n, 3).

    Of all ways to match them, the one with the smallest sum; in degrees.
    """
    angles = np.degrees(np.arccos(np.clip(np.abs(axes @ own.T), 0, 1)))
    ways = np.stack([angles[:, range(3), order] for order in permutations(range(3))], 1)
    best = ways.sum(2).argmin(1)
    return ways[np.arange(len(ways)), best]


@cache
def _by_chance(space: str) -> np.ndarray:
    """Return the mean angles of random orthogonal axes to a space's, float64 (`_RANDOM`,)."""
    frames = np.linalg.qr(np.random.default_rng(0).standard_normal((_RANDOM, 3, 3)))[0]
    return _matched(frames, colour_spaces()[space][1]).mean(1)


def _gradients(transform: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the gradients of a space's coordinates at middle grey: rows, in RGB."""
    around = 0.5 + _STEP * np.concatenate([np.eye(3), -np.eye(3)])
    values = transform(around)
    return ((values[:3] - values[3:]) / (2 * _STEP)).T
