"""Where the cells of activation maps look, and the features there."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from ..records.run_info import Registration
from .bank import positions


class Grid(NamedTuple):
    """The cells of a layer's maps in a picture.

    Attributes
    ----------
    height, width : int
        How many cells there are.
    registration : Registration, optional
        By default they fill the picture.
    """

    height: int
    width: int
    registration: Registration | None = None

    @property
    def axes(self) -> tuple[tuple[int, float, float], tuple[int, float, float]]:
        """Number of cells, start and step down, and across; in parts of the picture."""
        known = self.registration or Registration(0.0, 0.0, 1 / self.height, 1 / self.width)
        rows, columns = known.axes()
        return (self.height, *rows), (self.width, *columns)

    def mean(self, maps: torch.Tensor) -> torch.Tensor:
        """Average maps, (n, pixels down, pixels across), over each cell: (n, height, width)."""
        rows, columns = (
            overlaps(*axis, side).to(maps.device, maps.dtype)
            for axis, side in zip(self.axes, maps.shape[1:], strict=True)
        )
        return rows @ maps @ columns.T

    def design(self, features: torch.Tensor, cells: np.ndarray) -> np.ndarray:
        """Return all features at some cells.

        Parameters
        ----------
        features : tensor, shape (features of the picture, pixels down, pixels across)
            See `picture_features`.
        cells : int array, shape (n,)
            Numbers of the cells, row by row.

        Returns
        -------
        float64 array, shape (n, 1 + features)
            A column of ones, then `FEATURES`.
        """
        means = self.mean(features).flatten(1)[:, torch.from_numpy(cells).to(features.device)]
        (_, top, down), (_, left, across) = self.axes
        y, x = np.divmod(cells, self.width)
        where = positions(left + (x + 0.5) * across, top + (y + 0.5) * down)
        return np.hstack([np.ones((len(cells), 1)), means.T.double().cpu().numpy(), where])


@lru_cache(maxsize=64)
def overlaps(cells: int, start: float, step: float, pixels: int) -> torch.Tensor:
    """Return the share of each pixel in each cell along an axis, float64 (cells, pixels).

    Cells are cut off at the picture's edges; one that lies outside takes the pixel at the edge.

    Parameters
    ----------
    cells : int
    start, step : float
        Where the first cell begins, and how much each takes, in parts of the picture.
    pixels : int
    """
    low = ((start + np.arange(cells) * step) * pixels)[:, None]
    pixel = np.arange(pixels)
    shares = np.clip(np.minimum(low + step * pixels, pixel + 1) - np.maximum(low, pixel), 0, None)
    outside = shares.sum(1) <= 1e-9
    nearest = np.clip(low[:, 0] + step * pixels / 2, 0, pixels - 1).astype(int)
    shares[outside, nearest[outside]] = 1
    return torch.from_numpy(shares / shares.sum(1, keepdims=True))
