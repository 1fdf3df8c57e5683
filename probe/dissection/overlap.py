"""Where units are most active: their levels, and what lies above them.

References
----------
Bau, Zhou, Khosla, Oliva, Torralba, "Network dissection", CVPR 2017, section 2.2: levels over all
positions of all images, maps resized bilinearly to the masks, and an intersection over union of
sums over the whole data set.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

_PART = 2**25
"""Elements of resized maps at a time."""


class Highest:
    """The highest values of each unit, gathered batch by batch; exact, in bounded memory.

    Parameters
    ----------
    units : int
    total : int
        How many values each unit will have.
    share : float
        Share of them that may lie above the level.
    """

    def __init__(self, units: int, total: int, share: float) -> None:
        self._kept = min(math.floor(share * total) + 1, total)
        self.values = torch.empty(units, 0)

    def add(self, values: torch.Tensor) -> None:
        """Take more values, float32 (units, n)."""
        both = torch.cat([self.values.to(values.device), values], dim=1)
        many = both.shape[1] > self._kept
        self.values = both.topk(self._kept, dim=1).values if many else both

    def level(self) -> torch.Tensor:
        """Return the lowest value that no more than the share of all values exceeds: (units,)."""
        return self.values.amin(dim=1)


class Counts:
    """How many places lie above units' levels, and how many of these in each category.

    Attributes
    ----------
    above : int64 array, shape (units,)
    both : int64 array, shape (units, categories)
    """

    def __init__(self, units: int, categories: int) -> None:
        self.above = np.zeros(units, dtype=np.int64)
        self.both = np.zeros((units, categories), dtype=np.int64)

    def add(self, maps: torch.Tensor, level: torch.Tensor, labels: torch.Tensor) -> None:
        """Count one stimulus.

        Parameters
        ----------
        maps : float32 tensor, shape (units, height, width)
        level : float32 tensor, shape (units,)
        labels : float32 tensor, shape (categories, grid height, grid width)
            1 where a category is, else 0.
        """
        grid = labels.shape[1:]
        wanted = labels.flatten(1).T
        # Resizing never exceeds a map's maximum: most maps have nothing above the level.
        active = (maps.amax((1, 2)) > level).nonzero()[:, 0]
        if not len(active):
            return
        for units in active.split(max(1, _PART // math.prod(grid))):
            resized = F.interpolate(maps[units][None], grid, mode="bilinear")[0]
            on = (resized > level[units, None, None]).flatten(1).float()
            rows = units.cpu().numpy()
            self.above[rows] += on.sum(1).long().cpu().numpy()
            self.both[rows] += (on @ wanted).long().cpu().numpy()

    def iou(self, areas: np.ndarray) -> np.ndarray:
        """Return each unit's intersection over union with each category.

        Parameters
        ----------
        areas : int array, shape (categories,)
            How many places each category covers, over all stimuli.

        Returns
        -------
        float64 array, shape (units, categories)
            NaN for categories that cover nothing.
        """
        union = self.above[:, None] + areas - self.both
        nothing = np.full(self.both.shape, np.nan)
        return np.divide(
            self.both, union, out=nothing, where=np.broadcast_to(areas > 0, union.shape)
        )


def rotation(units: int, seed: tuple[int, int]) -> torch.Tensor:
    """Return a random rotation of a layer's units, float32 (units, units).

    Uniform over all orthogonal matrices: the same space, of which no axis is distinguished (Bau et
    al. 2017, section 3.2).
    """
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((units, units)))
    return torch.from_numpy((q * np.sign(np.diagonal(r))).astype(np.float32))
