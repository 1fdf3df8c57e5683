"""The features that activation maps are explained by, computed from a picture.

References
----------
Kovesi, "What are log-Gabor filters and why are they good?", peterkovesi.com (the filters and the
low-pass that rounds off the corners of the spectrum). Carandini & Heeger, "Normalization as a
canonical neural computation", Nature Reviews Neuroscience 13, 2012. Malladi et al., "Towards
explainable deep visual saliency models", CVIU 2023; its filters' parameters are not public, and
these are ours.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from ..sources.gabor import BANDWIDTH, LUMINANCE, ORIENTATIONS, WAVELENGTHS, log_gabors

FAMILIES = ("log-Gabor", "position", "surround")
"""The kinds of features: filters, where in the picture, and what lies around."""

CHANNELS = ("luminance", "red-green", "blue-yellow")

_CHANNELS = np.array([LUMINANCE, (1, -1, 0), (-0.5, -0.5, 1)], dtype=np.float32)
_PARTS = ("even +", "even -", "odd +", "odd -", "energy")
_CUTOFF, _SHARPNESS = 0.45, 15  # of Kovesi's low-pass, in cycles per pixel
_WINDOWS = (4, 8, 16)  # sd of the windows of local contrast, in pixels
_HALF = 0.05  # energy in the surround that halves a response; white is 1


class Feature(NamedTuple):
    """What a feature is.

    Attributes
    ----------
    family : str
        One of `FAMILIES`.
    kind : str
        ``even +``: the even response where it is above 0; ``even -``: its amount below 0. Likewise
        ``odd``; ``energy``: the magnitude of both; ``low-pass``; ``Gaussian``; ``normalised
        energy``, ``surround energy``, ``contrast``.
    channel : str
        One of `CHANNELS`; empty for positions.
    wavelength : float
        Pixels of the network's input; NaN if none. Of a contrast, the window's sd.
    orientation : float
        Degrees from vertical bars, anticlockwise; NaN if none.
    x, y, sd : float
        Centre and sd of a Gaussian, in parts of the picture's width and height; NaN if none.
    """

    family: str
    kind: str
    channel: str = ""
    wavelength: float = np.nan
    orientation: float = np.nan
    x: float = np.nan
    y: float = np.nan
    sd: float = np.nan


_FILTERS = [(float(w), float(o)) for w in WAVELENGTHS for o in ORIENTATIONS]

_ON_PICTURE = [
    *(Feature("log-Gabor", part, c, *f) for c in CHANNELS for f in _FILTERS for part in _PARTS),
    *(Feature("log-Gabor", "low-pass", channel) for channel in CHANNELS),
    *(Feature("surround", "normalised energy", CHANNELS[0], *f) for f in _FILTERS),
    *(Feature("surround", "surround energy", c, float(w)) for c in CHANNELS for w in WAVELENGTHS),
    *(Feature("surround", "contrast", c, float(w)) for c in CHANNELS for w in _WINDOWS),
]
_SPREADS, _PLACES = (0.125, 0.25, 0.5), (0.125, 0.375, 0.625, 0.875)
_GAUSSIANS = [
    *(Feature("position", "Gaussian", x=0.5, y=0.5, sd=sd) for sd in _SPREADS),
    *(Feature("position", "Gaussian", x=x, y=y, sd=0.125) for y in _PLACES for x in _PLACES),
]
FEATURES: list[Feature] = [*_ON_PICTURE, *_GAUSSIANS]
"""All features: what `picture_features` returns, then the Gaussians of `positions`."""

FILTERS = np.array([k for k, one in enumerate(FEATURES) if one.kind in _PARTS]).reshape(
    -1, len(_PARTS)
)
"""Places in `FEATURES` of the five responses of each filter and channel, int (filters, 5)."""


def family(name: str) -> np.ndarray:
    """Return which features belong to a family, bool (features,)."""
    return np.array([one.family == name for one in FEATURES])


def picture_features(rgb: torch.Tensor) -> torch.Tensor:
    """Return the features of a picture, but for its positions.

    Parameters
    ----------
    rgb : float32 tensor, shape (3, height, width)
        0 to 1.

    Returns
    -------
    float32 tensor, shape (features, height, width)
        In the order of `FEATURES`.
    """
    height, width = rgb.shape[1:]
    channels = torch.tensordot(torch.from_numpy(_CHANNELS).to(rgb.device), rgb, 1)
    # Mirrored borders: the Fourier transform's wrap-around would act as an edge.
    border = min(WAVELENGTHS[-1], height - 1, width - 1)
    padded = F.pad(channels[None], (border,) * 4, mode="reflect")[0]
    inner = (..., slice(border, border + height), slice(border, border + width))
    filters, residual = _transfer(*padded.shape[1:], rgb.device)
    spectra = torch.fft.fft2(padded)
    responses, energies = [], []
    for spectrum in spectra:
        response = torch.fft.ifft2(spectrum * filters)[inner]
        energy, even, odd = response.abs(), response.real, response.imag
        energies.append(energy)
        parts = (even.relu(), (-even).relu(), odd.relu(), (-odd).relu(), energy)
        responses.append(torch.stack(parts, 1).flatten(0, 1))
    low = torch.fft.ifft2(spectra * residual).real[inner]
    scales = torch.stack(energies).unflatten(1, (len(WAVELENGTHS), -1)).mean(2)
    around = torch.stack(
        [blurred(scales[:, k], wavelength) for k, wavelength in enumerate(WAVELENGTHS)], 1
    )
    each = around[0].repeat_interleave(len(ORIENTATIONS), 0)
    contrasts = torch.stack([_contrast(channels, sd) for sd in _WINDOWS], 1)
    surround = (energies[0] / (_HALF + each), around.flatten(0, 1), contrasts.flatten(0, 1))
    return torch.cat([*responses, low, *surround])


def positions(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the Gaussians at some places.

    Parameters
    ----------
    x, y : float arrays, shape (n,)
        In parts of the picture's width and height.

    Returns
    -------
    float64 array, shape (n, Gaussians)
    """
    away = [((x - one.x) ** 2 + (y - one.y) ** 2) / (2 * one.sd**2) for one in _GAUSSIANS]
    return np.exp(-np.stack(away, 1))


def blurred(maps: torch.Tensor, sd: float) -> torch.Tensor:
    """Blur maps, (n, height, width), by a Gaussian whose weights at the borders sum to 1."""
    rows, columns = (_bells(side, sd, maps.device) for side in maps.shape[1:])
    return rows @ maps @ columns.T


def _contrast(channels: torch.Tensor, sd: float) -> torch.Tensor:
    """Return the standard deviation of channels in a Gaussian window."""
    centred = channels - channels.mean((1, 2), keepdim=True)
    variance = blurred(centred**2, sd) - blurred(centred, sd) ** 2
    return variance.clamp(min=0).sqrt()


@lru_cache(maxsize=32)
def _bells(side: int, sd: float, device: torch.device) -> torch.Tensor:
    away = torch.arange(side, device=device)[:, None] - torch.arange(side, device=device)
    weights = torch.exp(-(away**2) / (2 * sd**2))
    return weights / weights.sum(1, keepdim=True)


@lru_cache(maxsize=4)
def _transfer(height: int, width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the filters, (filters, height, width), and the low-pass that they leave over.

    A log-Gabor passes no mean: the residual passes what the largest scale does not, below its
    centre frequency.
    """
    fy = torch.fft.fftfreq(height, device=device)[:, None]
    fx = torch.fft.fftfreq(width, device=device)[None, :]
    frequency = torch.hypot(fx, fy)
    corners = 1 / (1 + (frequency / _CUTOFF) ** (2 * _SHARPNESS))
    octaves = torch.log((frequency * WAVELENGTHS[-1]).clamp(min=1e-6)) / np.log(BANDWIDTH)
    below = 1 - torch.exp(-(octaves**2) / 2)
    below[0, 0] = 1.0
    residual = torch.where(frequency < 1 / WAVELENGTHS[-1], below, 0)
    return log_gabors(height, width, device) * corners, residual
