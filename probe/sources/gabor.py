"""``gabor``: a fixed bank of filters; each is a unit with a readable name, and needs no weights."""

from __future__ import annotations

import math

import torch
from torch import nn

WAVELENGTHS = (4, 8, 16, 32)
"""Length of one period in pixels of the network's input; one octave apart."""

ORIENTATIONS = (0, 30, 60, 90, 120, 150)
"""Degrees from vertical bars (0), anticlockwise."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue."""

_OPPONENTS = ("red on green", "green on red", "blue on yellow", "yellow on blue")
BANDWIDTH = 0.65
"""Ratio of a log-Gabor's spread to its centre frequency: about 1.5 octaves."""


def log_gabors(height: int, width: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return the transfer functions of the bank of log-Gabors, scale by scale.

    Each passes one half of the plane: the response is complex, its real part even, its imaginary
    part odd, and its magnitude the energy.

    Parameters
    ----------
    height, width : int
        Size of the pictures, in pixels.

    Returns
    -------
    float32 tensor, shape (scales × orientations, height, width)
        On the frequencies of `torch.fft.fft2`.

    References
    ----------
    Kovesi, "What are log-Gabor filters and why are they good?", peterkovesi.com: the radial and
    the angular factor.
    """
    fy = torch.fft.fftfreq(height, device=device)[:, None]
    fx = torch.fft.fftfreq(width, device=device)[None, :]
    frequency = torch.hypot(fx, fy)
    frequency[0, 0] = 1.0
    angle = torch.atan2(-fy, fx)
    spread = math.radians(180 / len(ORIENTATIONS)) / 1.5
    filters = []
    for wavelength in WAVELENGTHS:
        octaves = torch.log(frequency * wavelength) / math.log(BANDWIDTH)
        radial = torch.exp(-(octaves**2) / 2)
        radial[0, 0] = 0.0
        for orientation in ORIENTATIONS:
            away = angle - math.radians(orientation)
            away = torch.atan2(torch.sin(away), torch.cos(away))
            filters.append(radial * torch.exp(-(away**2) / (2 * spread**2)))
    return torch.stack(filters)


class LogGabor(nn.Module):
    """Energy of log-Gabor filters on luminance.

    A log-Gabor is a Gaussian on a logarithmic frequency axis times a Gaussian over orientation.
    The energy is the magnitude of the quadrature pair's response, so it does not depend on phase.

    References
    ----------
    Field, "Relations between the statistics of natural images and the response properties of
    cortical cells", JOSA A 1987.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unit_names = [f"{w} px bars at {o}°" for w in WAVELENGTHS for o in ORIENTATIONS]

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Map images (n, 3, h, w) in 0 to 1 to energies (n, 24, h, w)."""
        luminance = (rgb * rgb.new_tensor(LUMINANCE)[:, None, None]).sum(1)
        height, width = luminance.shape[-2:]
        # Mirrored borders: the Fourier transform's wrap-around would act as an edge.
        border = min(WAVELENGTHS[-1], height - 1, width - 1)
        padded = nn.functional.pad(luminance[:, None], (border,) * 4, mode="reflect")[:, 0]
        spectrum = torch.fft.fft2(padded)
        filters = log_gabors(padded.shape[-2], padded.shape[-1], rgb.device)
        inner = (..., slice(border, border + height), slice(border, border + width))
        return torch.stack(
            [torch.fft.ifft2(spectrum * transfer).abs()[inner] for transfer in filters], 1
        )


class CentreSurround(nn.Module):
    """Colour-opponent centre-surround cells, both polarities, rectified.

    A red-on-green cell responds where red minus green is larger in a Gaussian centre than in a
    surround three times as wide; blue and yellow likewise. The centres' sd is a quarter of
    `WAVELENGTHS`.

    References
    ----------
    Itti, Koch & Niebur, "A model of saliency-based visual attention for rapid scene analysis",
    PAMI 1998 (the broadly tuned colour channels).
    """

    def __init__(self) -> None:
        super().__init__()
        self.unit_names = [f"{w} px {colour}" for w in WAVELENGTHS for colour in _OPPONENTS]

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Map images (n, 3, h, w) in 0 to 1 to responses (n, 16, h, w)."""
        red, green, blue = rgb.unbind(1)
        opponents = torch.stack([red - green, blue - (red + green) / 2], 1)
        responses = []
        for wavelength in WAVELENGTHS:
            centre, surround = (_blur(opponents, k * wavelength / 4) for k in (1, 3))
            difference = centre - surround
            for channel in (0, 1):
                responses += [difference[:, channel], -difference[:, channel]]
        return torch.relu(torch.stack(responses, 1))


class Gabor(nn.Module):
    """The filter bank: layers ``log_gabor`` (24 units) and ``centre_surround`` (16 units)."""

    def __init__(self) -> None:
        super().__init__()
        self.log_gabor = LogGabor()
        self.centre_surround = CentreSurround()

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Map images (n, 3, h, w) in 0 to 1 to all 40 units' maps (n, 40, h, w)."""
        with torch.autocast(rgb.device.type, enabled=False):  # FFTs do not support bfloat16
            rgb = rgb.float().contiguous()
            return torch.cat([self.log_gabor(rgb), self.centre_surround(rgb)], 1)


def _blur(maps: torch.Tensor, sd: float) -> torch.Tensor:
    """Blur (n, c, h, w) by a Gaussian, replicating the borders."""
    radius = math.ceil(3 * sd)
    line = torch.arange(-radius, radius + 1, device=maps.device, dtype=maps.dtype)
    weights = torch.exp(-(line**2) / (2 * sd**2))
    weights = (weights / weights.sum()).expand(maps.shape[1], 1, -1)
    padded = nn.functional.pad(maps, (radius,) * 4, mode="replicate")
    rows = nn.functional.conv2d(padded, weights[:, :, None], groups=maps.shape[1])
    return nn.functional.conv2d(rows, weights[..., None], groups=maps.shape[1])
