"""Gaussians along one axis, of which blurred fixations are made."""

from __future__ import annotations

import numpy as np


def bells(place: np.ndarray, length: int, sigma: float) -> np.ndarray:
    """Return a Gaussian around each place, float64 (n, length)."""
    reach = int(4 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    away = np.arange(length) - np.asarray(place)[:, None]
    return np.where(abs(away) <= reach, kernel[away.clip(-reach, reach) + reach], 0)
