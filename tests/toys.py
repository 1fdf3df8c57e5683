"""Networks of which is known what explains their units, and pictures to explain them on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

SIDE = 48


def write_pictures(folder: Path, count: int = 12) -> Path:
    """Write noise pictures with structure at all scales, in colour."""
    folder.mkdir()
    rng = np.random.default_rng(4)
    for number in range(count):
        picture = np.zeros((SIDE, SIDE, 3))
        for cells in (6, 12, 24, SIDE):
            noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
            picture += np.asarray(noise.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) / 4
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number:02d}.png")
    return folder


def kernel(wavelength: float, orientation: float, phase: float, size: int = 31) -> np.ndarray:
    """Return a log-Gabor in space, by its formula in frequency (Kovesi), not by our code."""
    n = 64
    fy, fx = np.meshgrid(np.fft.fftfreq(n), np.fft.fftfreq(n), indexing="ij")
    frequency, angle = np.hypot(fx, fy), np.arctan2(-fy, fx)
    frequency[0, 0] = 1
    radial = np.exp(-(np.log(frequency * wavelength) ** 2) / (2 * np.log(0.65) ** 2))
    radial[0, 0] = 0
    away = angle - np.radians(orientation)
    away = np.abs(np.arctan2(np.sin(away), np.cos(away)))
    angular = np.exp(-(away**2) / (2 * (np.pi / 6 / 1.5) ** 2))
    lowpass = 1 / (1 + (frequency / 0.45) ** 30)
    response = np.fft.fftshift(np.fft.ifft2(radial * angular * lowpass))
    half = n // 2
    window = slice(half - size // 2, half + size // 2 + 1)
    one = response[window, window]
    return np.cos(phase) * one.real + np.sin(phase) * one.imag


UNITS = ((4, 0, 0.0), (4, 60, 1.0), (8, 90, np.pi / 2), (8, 150, 0.5))
"""Wavelength, orientation and phase of the units of `LogGabors`."""


class LogGabors(nn.Module):
    """Units that are log-Gabors on luminance, then rectified."""

    def __init__(self) -> None:
        super().__init__()
        self.units = nn.Conv2d(*(3, len(UNITS), 31), padding=15, padding_mode="reflect", bias=False)
        luminance = torch.tensor([0.299, 0.587, 0.114])
        with torch.no_grad():
            for unit, parameters in enumerate(UNITS):
                # A convolution of torch's is a correlation: the kernel is turned.
                plane = torch.from_numpy(kernel(*parameters)[::-1, ::-1].copy()).float()
                self.units.weight[unit] = 10 * luminance[:, None, None] * plane
        self.rectified = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rectified(self.units(x)).mean((2, 3))


class Places(nn.Module):
    """Units that know only where they are, or nothing at all: noise, or a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = _Maps()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.maps(x).mean((2, 3))


class _Maps(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = (side // 4 for side in x.shape[2:])
        rows = (torch.arange(height) + 0.5) / height
        columns = (torch.arange(width) + 0.5) / width
        y, x_ = torch.meshgrid(rows, columns, indexing="ij")
        blob = torch.exp(-((x_ - 0.5) ** 2 + (y - 0.5) ** 2) / (2 * 0.25**2))
        corner = torch.exp(-((x_ - 0.125) ** 2 + (y - 0.875) ** 2) / (2 * 0.125**2))
        noises = []
        for one in x:  # what it depends on in the picture is no feature of it
            seed = int(one.double().abs().sum().item() * 1e6) % 2**31
            noises.append(torch.randn(height, width, generator=torch.Generator().manual_seed(seed)))
        still = torch.stack([blob, corner, torch.ones_like(blob)]).expand(len(x), -1, -1, -1)
        return torch.cat([still, torch.stack(noises)[:, None]], 1)


class Blurred(nn.Module):
    """A saliency model: two maps, and their sum as its output."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 2, 1, bias=False)
        self.mix = nn.Conv2d(2, 1, 1, bias=False)
        with torch.no_grad():
            self.maps.weight.copy_(
                torch.tensor([[0.299, 0.587, 0.114], [1.0, -1.0, 0.0]])[:, :, None, None]
            )
            self.mix.weight.fill_(1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mix(self.maps(nn.functional.avg_pool2d(x, 4)))


def log_gabors() -> nn.Module:
    return LogGabors()


def places() -> nn.Module:
    return Places()


def blurred() -> nn.Module:
    return Blurred()


class Whole(nn.Module):
    """Cells that see the mean of the picture beside their own part."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 2, 4, stride=4)
        self.all = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.maps(x)
        return self.all(maps + maps.mean((2, 3), keepdim=True)).mean((2, 3))
