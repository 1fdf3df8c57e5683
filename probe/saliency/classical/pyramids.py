"""Pyramids and feature maps of GBVS and Itti–Koch, as in Harel's release."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

_BINOMIAL = np.array([1, 5, 10, 10, 5, 1]) / 32
_BORDER = 13  # pixels over which orientation maps fade out

# Cone responses of a monitor's r, g, b, and of its middle grey: the release's rgb2dkl.
_LMS = np.array(
    [[18.32535, 44.60077, 7.46216], [4.09544, 28.20135, 6.66066], [0.02114, 0.10325, 1.05258]]
)
_GREY = np.array([34.918539, 19.314797, 0.585611])
_GAMMA = 2.2  # instead of the release's table of one monitor's response


def pyramid(channel: np.ndarray, levels: int) -> list[np.ndarray]:
    """Return a channel halved 0, 1, … ``levels`` times; stops before a side is below 3 pixels."""
    images = [channel]
    while len(images) <= levels and min(images[-1].shape) // 2 >= 3:
        images.append(_halved(_halved(images[-1], 0), 1))
    return images


def dkl(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> list[np.ndarray]:
    """Return luminance, red–green and blue–yellow in the cone-opponent space DKL.

    References
    ----------
    Derrington, Krauskopf & Lennie, J. Physiol. 357, 1984.
    """
    linear = np.stack([red, green, blue]).clip(0, 1) ** _GAMMA
    long, medium, short = np.tensordot(_LMS, linear, 1) - _GREY[:, None, None]
    l0, m0, s0 = _GREY
    both = l0 + m0
    root = np.hypot(l0, m0)
    return [
        0.5774 * np.sqrt(3) / both * (long + medium),
        2.7525 * root / both * (long / l0 - medium / m0),
        0.4526 / both * (both / s0 * short - long - medium),
    ]


def opponent(
    red: np.ndarray, green: np.ndarray, blue: np.ndarray, light: np.ndarray
) -> list[np.ndarray]:
    """Return |blue − min(red, green)| and |red − green|, each over the intensity.

    Parameters
    ----------
    red, green, blue, light : float arrays, shape (height, width)
        Channels and intensity, 0 to 1; the result is 0 where the intensity is 0.
    """
    safe = np.where(light == 0, 1, light)
    pairs = (np.abs(blue - np.minimum(red, green)), np.abs(red - green))
    return [np.where(light == 0, 0, pair / safe) for pair in pairs]


def orientation(light: np.ndarray, angle: int) -> np.ndarray:
    """Return |even| + |odd| of a pair of Gabors, fading out at the borders."""
    response = sum(np.abs(_convolved(light, gabor(angle, phase))) for phase in (0, 90))
    return attenuated(np.asarray(response), _BORDER)


@lru_cache(maxsize=16)
def gabor(angle: int, phase: int) -> np.ndarray:
    """Return a Gabor of zero mean and unit norm: σ 2, elongation 2, period π pixels."""
    short, long = 2.0, 4.0
    reach = int(np.ceil(long * np.sqrt(10)))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    cosine, sine = np.cos(np.radians(angle)), -np.sin(np.radians(angle))
    across, along = rows * cosine + columns * sine, rows * sine - columns * cosine
    wave = np.cos(2 * across + np.radians(phase))
    wave *= np.exp(-(across**2) / (2 * short**2) - along**2 / (2 * long**2))
    wave -= wave.mean()
    return wave / np.sqrt((wave**2).sum())


def attenuated(image: np.ndarray, border: int) -> np.ndarray:
    """Return an image that fades linearly to nearly 0 over its outermost ``border`` pixels."""
    result = image.astype(float)
    for axis, length in enumerate(image.shape):
        width = min(border, length // 2)
        ramp = np.ones(length)
        ramp[:width] = np.arange(1, width + 1) / (width + 1)
        ramp[length - width :] = ramp[:width][::-1]
        result = result * (ramp[:, None] if axis == 0 else ramp[None, :])
    return result


def _halved(image: np.ndarray, axis: int) -> np.ndarray:
    """Halve one axis: pixel k is centred between pixels 2k and 2k + 1, and sees 2k − 2 … 2k + 3.

    Where some of these lie outside, the others' weights are raised to a sum of 1.
    """
    weights = ndimage.correlate1d(np.ones(image.shape[axis]), _BINOMIAL, mode="constant")
    sums = ndimage.correlate1d(image, _BINOMIAL, axis=axis, mode="constant")
    half = np.moveaxis(np.moveaxis(sums, axis, -1) / weights, -1, axis)
    return half[1::2] if axis == 0 else half[:, 1::2]


def _convolved(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    reach = kernel.shape[0] // 2
    padded = np.pad(image, reach, mode="edge")
    return np.asarray(fftconvolve(padded, kernel, mode="valid"))
