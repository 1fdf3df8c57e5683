"""Whether receptive fields are centre–surround: shapes compared by cross-validation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

from ...datasets.progress import Advance
from .estimates import CHANNELS, reliability
from .fitting import Fit, fit
from .shapes import KINDS, RATIOS

LEAST_R2 = 0.1
"""The least share of the other half's energy that a centre–surround field's fit explains."""

LEAST_SHARE = 0.5
"""The same as a share of what can be explained: of the correlation of the two halves."""

LEAST_BALANCE = 0.5
"""The least volume of a centre–surround field's surround, as a share of its centre's."""

MOST_OPPONENCY = 1.0
"""How deep its surround is at most, as a share of its peak: beyond, it is a field with a hole."""


def describe_fields(
    halves: np.ndarray, block: int = 1, advance: Advance = lambda steps: None
) -> pd.DataFrame:
    """Fit shapes to fields and say which fields are centre–surround.

    A shape is fitted to one half's field and judged on the other's, both ways. A field is
    centre–surround if, both ways, a difference of Gaussians explains more of the other half than
    one Gaussian and than a Gabor, and on average at least `LEAST_R2`, and `LEAST_SHARE` of what can
    be explained; and if the one fitted to the mean of the halves has its centre inside the field,
    as far as σ_c, and a surround as `LEAST_BALANCE` and `MOST_OPPONENCY` say. These thresholds are
    ours: there are no agreed ones.

    Parameters
    ----------
    halves : float array, shape (2, units, 3, grid, grid)
        Fields from two halves of the data, by `CHANNELS`.
    block : int
        Pixels of the network's input along a side of the grid's blocks.
    advance : callable
        Called four times, with 1.

    Returns
    -------
    DataFrame
        A row for each unit and channel: ``unit, channel, share`` (of the unit's field's energy),
        ``reliability`` (correlation of the halves), ``r2_gaussian, r2_dog, r2_gabor`` (mean of both
        ways), and of the difference of Gaussians ``x, y`` (pixels from the middle of the field),
        ``sigma_centre, sigma_surround`` (pixels), ``sigma_ratio``, ``balance``
        (A_s σ_s² / A_c σ_c²), ``opponency`` (−min / max of the fitted profile), ``polarity`` (the
        sign of the centre), ``isotropy`` (of the structure tensor's eigenvalues, smaller to
        larger), ``centre_surround``, ``strongest`` (whether the unit's field has most energy in
        this channel). NaN where a half is constant.
    """
    units, channels, grid = halves.shape[1:4]
    energy = np.square(halves.mean(0, dtype=np.float64)).sum((2, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = energy / energy.sum(1, keepdims=True)
    own = halves.reshape(2, units * channels, grid, grid).astype(np.float64)
    steady = (np.ptp(own, axis=(2, 3)) > 0).all(0) & np.isfinite(own).all((0, 2, 3))
    known = own[:, steady]
    table = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(units), channels),
            "channel": np.tile(CHANNELS[:channels], units),
            "share": share.ravel(),
            "reliability": reliability(own),
        }
    )
    r2 = {}
    for kind in KINDS:
        r2[kind] = cross_validated(kind, known)
        table[f"r2_{kind}"] = _spread(r2[kind].mean(0), steady)
        advance(1)
    for key, values in _parameters(fit("dog", known.mean(0)), block).items():
        table[key] = _spread(values, steady)
    advance(1)
    table["isotropy"] = _spread(isotropy(known.mean(0)), steady)
    explainable = table["reliability"].to_numpy()[steady]
    wins = (r2["dog"] > r2["gaussian"]).all(0) & (r2["dog"] > r2["gabor"]).all(0)
    found = np.zeros(len(table), dtype=bool)
    found[steady] = wins & (r2["dog"].mean(0) >= np.maximum(LEAST_R2, LEAST_SHARE * explainable))
    surround = (table["balance"] >= LEAST_BALANCE) & (table["opponency"] <= MOST_OPPONENCY)
    inside = table[["x", "y"]].abs().max(axis=1) + table["sigma_centre"] <= grid * block / 2
    table["centre_surround"] = found & surround & inside
    strongest = np.arange(channels) == np.nan_to_num(share, nan=-1.0).argmax(1)[:, None]
    table["strongest"] = (strongest & np.isfinite(share)).ravel()
    return table


def cross_validated(kind: str, halves: np.ndarray) -> np.ndarray:
    """Return the share of one half's energy that a shape fitted to the other explains.

    Parameters
    ----------
    kind : {"gaussian", "dog", "gabor"}
    halves : float array, shape (2, n, side, side)

    Returns
    -------
    float64 array, shape (2, n)
        1 − Σ(field − fit)² / Σ field²; below 0 if nothing would explain more. The first row is of
        fits to the first half.
    """
    fitted = fit(kind, np.concatenate(halves)).fitted.reshape(halves.shape)
    other = halves[::-1]
    return 1 - np.square(other - fitted).sum((2, 3)) / np.square(other).sum((2, 3))


def isotropy(fields: np.ndarray) -> np.ndarray:
    """Return the ratio of the structure tensor's eigenvalues: 1 if no orientation prevails.

    Parameters
    ----------
    fields : float array, shape (n, side, side)
    """
    down, across = np.gradient(fields, axis=(1, 2))
    tensor = np.stack(
        [(a * b).sum((1, 2)) for a, b in ((down, down), (down, across), (across, across))]
    )
    half_trace = (tensor[0] + tensor[2]) / 2
    reach = np.hypot((tensor[0] - tensor[2]) / 2, tensor[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.maximum(half_trace - reach, 0) / (half_trace + reach)


def _parameters(dog: Fit, block: int) -> dict[str, np.ndarray]:
    p = dog.parameters.numpy()
    ratio = RATIOS[0] + (RATIOS[1] - RATIOS[0]) * expit(p[:, 3])
    weight = expit(p[:, 4])  # A_s / A_c
    centre = np.exp(p[:, 2])
    radius = np.linspace(0, 6, 241)  # in σ_s
    square = np.square(radius * ratio[:, None])
    profile = np.exp(-square / 2) - weight[:, None] * np.exp(-np.square(radius) / 2)
    with np.errstate(divide="ignore"):  # with surround and centre alike in height, nothing peaks
        opponency = np.maximum(0, -profile.min(1)) / profile.max(1)
    return {
        "x": p[:, 0] * block,
        "y": p[:, 1] * block,
        "sigma_centre": centre * block,
        "sigma_surround": centre * ratio * block,
        "sigma_ratio": ratio,
        "balance": weight * ratio**2,
        "opponency": opponency,
        "polarity": np.sign(dog.amplitudes[:, 0].numpy()),
    }


def _spread(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    full = np.full(len(where), np.nan)
    full[where] = values
    return full
