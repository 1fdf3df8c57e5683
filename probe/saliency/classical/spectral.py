"""The spectral residual: what a picture's log spectrum has beyond its own local average.

References
----------
Hou & Zhang, "Saliency detection: a spectral residual approach", CVPR 2007.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

_WIDTH = 64
_SIGMA = 2.5


def spectral_residual(rgb: np.ndarray) -> np.ndarray:
    """Return the saliency map of the spectral residual."""
    height, width = rgb.shape[:2]
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float64) / 255
    small = cv2.resize(
        grey, (_WIDTH, max(3, round(height * _WIDTH / width))), interpolation=cv2.INTER_AREA
    )
    spectrum = np.fft.fft2(small)
    logarithm = np.log(np.abs(spectrum) + 1e-12)
    residual = logarithm - ndimage.uniform_filter(logarithm, 3, mode="nearest")
    image = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    image = ndimage.gaussian_filter(image, _SIGMA, truncate=2)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    low, high = image.min(), image.max()
    return (image - low) / (high - low) if high > low else np.zeros_like(image)
