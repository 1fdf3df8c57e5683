"""How TensorFlow 1 resizes images and pools with SAME padding: not as its successors do.

Resizing is linear and separable: each function gives the matrix of one axis, (cells, from cells).
Cell i of the result lies at i·scale of the original, with neither half-pixel centres nor a filter
that widens as it shrinks (``half_pixel_centers=False``).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

_TABLE = 1024  # steps in which bicubic weights are tabulated
_CUBIC = -0.75


def doubled(maps: torch.Tensor) -> torch.Tensor:
    """Resize (n, units, h, w) to twice its size, bilinear (``align_corners=False``).

    Along each axis, cell 2i is cell i, and cell 2i + 1 the mean of cells i and i + 1; after the
    last cell, it is repeated.
    """
    for axis in (-1, -2):
        cells = maps.shape[axis]
        following = torch.cat([maps.narrow(axis, 1, cells - 1), maps.narrow(axis, -1, 1)], axis)
        pairs = torch.stack([maps, maps + (following - maps) / 2], axis)
        maps = pairs.flatten(axis - 1, axis)
    return maps


def pooled(maps: torch.Tensor) -> torch.Tensor:
    """Take the maximum over 2×2 cells at stride 1, SAME: what is beyond is right and below."""
    return F.max_pool2d(F.pad(maps, (0, 1, 0, 1), value=-torch.inf), 2, 1)


def area(cells: int, of: int) -> np.ndarray:
    """Return the matrix of ``resize_area`` with ``align_corners=True``, (cells, of) float64.

    Cell i is the mean over i·scale to (i + 1)·scale, where scale is (of − 1) / (cells − 1); beyond
    the last cell, it is repeated.
    """
    scale = _scale(cells, of)
    matrix = np.zeros((cells, of))
    for i in range(cells):
        start, end = np.float32(i) * scale, np.float32(i + 1) * scale
        for j in range(int(np.floor(start)), int(np.ceil(end))):
            if j < start:
                weight = scale if j + 1 > end else j + 1 - start
            else:
                weight = end - j if j + 1 > end else 1
            matrix[i, min(j, of - 1)] += weight / scale
    return matrix


def bicubic(cells: int, of: int) -> np.ndarray:
    """Return the matrix of ``resize_bicubic`` with ``align_corners=True``, (cells, of) float64.

    Keys's kernel with a = −0.75, tabulated in 1024 steps.
    """
    scale = _scale(cells, of)
    matrix = np.zeros((cells, of))
    for i in range(cells):
        place = np.float32(i) * scale
        first = int(place)
        step = np.rint((place - np.float32(first)) * np.float32(_TABLE)) / _TABLE
        for j, away in enumerate((1 + step, step, 1 - step, 2 - step), first - 1):
            matrix[i, min(max(j, 0), of - 1)] += _keys(away)
    return matrix


def _scale(cells: int, of: int) -> np.float32:
    """Return the distance of cells when the corners' centres are aligned."""
    if cells > 1:
        return np.float32(of - 1) / np.float32(cells - 1)
    return np.float32(of) / np.float32(cells)


def _keys(x: float) -> float:
    a = _CUBIC
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
