"""Ridge regression from sums that grow with features and units, not with stimuli.

References
----------
Hoerl & Kennard, "Ridge regression", Technometrics 12(1), 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PENALTIES = 10.0 ** np.arange(-6, 5)
"""Penalties that are tried, for standardised features and the mean squared error."""

_CONSTANT = 1e-10  # a feature's sd, relative to its mean, up to which it is left out


@dataclass(frozen=True, eq=False)
class Sums:
    """What a regression needs to know of its observations.

    Attributes
    ----------
    xx : float64 array, shape (1 + features, 1 + features)
        Sums of products of the features, the first of which is 1.
    xy : float64 array, shape (1 + features, units)
        Sums of their products with the units.
    yy : float64 array, shape (units,)
        Sums of the units' squares.
    """

    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Add observations: float64 (n, 1 + features) and (n, units)."""
        self.xx[...] += x.T @ x
        self.xy[...] += x.T @ y
        self.yy[...] += (y**2).sum(0)

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.xx + other.xx, self.xy + other.xy, self.yy + other.yy)

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.xx - other.xx, self.xy - other.xy, self.yy - other.yy)

    @property
    def n(self) -> float:
        """Number of observations."""
        return float(self.xx[0, 0])

    def of(self, columns: np.ndarray) -> Sums:
        """Return the sums of some features, bool (features,), and of the ones."""
        kept = np.flatnonzero(np.concatenate([[True], columns]))
        return Sums(self.xx[np.ix_(kept, kept)], self.xy[kept], self.yy)

    def spread(self) -> np.ndarray:
        """Return the features' population sd, float64 (features,)."""
        mean = self.xx[0, 1:] / self.n
        return np.sqrt(np.clip(np.diag(self.xx)[1:] / self.n - mean**2, 0, None))

    def total(self) -> np.ndarray:
        """Return the units' sums of squares about their means, float64 (units,)."""
        return np.clip(self.yy - self.xy[0] ** 2 / self.n, 0, None)

    def errors(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the sums of squared errors of a prediction of these observations.

        Parameters
        ----------
        coefficients : float64 array, shape (1 + features, units)

        Returns
        -------
        float64 array, shape (units,)
        """
        left = self.xx @ coefficients - 2 * self.xy
        return self.yy + np.einsum("fu,fu->u", coefficients, left)


class Ridge:
    """The ridge regressions of some observations, for every penalty.

    Features are standardised, by their mean and sd in these observations; the intercept has no
    penalty. A constant feature gets a coefficient of 0.
    """

    def __init__(self, sums: Sums) -> None:
        n, mean, sd = sums.n, sums.xx[0, 1:] / sums.n, sums.spread()
        varies = sd > _CONSTANT * np.maximum(np.abs(mean), np.finfo(float).tiny)
        self._scale = np.where(varies, 1 / np.where(varies, sd, 1), 0)
        self._mean, self._y = mean, sums.xy[0] / n
        covariance = (sums.xx[1:, 1:] / n - np.outer(mean, mean)) * self._scale
        values, self._axes = np.linalg.eigh(covariance * self._scale[:, None])
        self._values = np.clip(values, 0, None)
        self._turned = self._axes.T @ (
            (sums.xy[1:] / n - np.outer(mean, self._y)) * self._scale[:, None]
        )

    def coefficients(self, penalty: float | np.ndarray) -> np.ndarray:
        """Return the coefficients in the features' own units, intercept first.

        Parameters
        ----------
        penalty : float, or float array of shape (units,)

        Returns
        -------
        float64 array, shape (1 + features, units)
        """
        slopes = self._turned / (self._values[:, None] + penalty)
        slopes = (self._axes @ slopes) * self._scale[:, None]
        return np.vstack([self._y - self._mean @ slopes, slopes])


def chosen_penalties(errors: np.ndarray) -> np.ndarray:
    """Return each unit's penalty with the smallest error; errors are (penalties, units)."""
    return PENALTIES[errors.argmin(0)]


def cross_fit(folds: Sequence[Sums]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Fit units without each fold in turn, and with all of them.

    The penalty of each unit is that with the smallest error in cross-validation over the folds
    that it is fitted on: a fold that is held out has no part in it.

    Parameters
    ----------
    folds : sequence of Sums
        At least three.

    Returns
    -------
    without : list of float64 arrays, shape (1 + features, units)
        Coefficients fitted without each fold.
    whole : float64 array, shape (1 + features, units)
        Those fitted on all.
    penalties : float64 array, shape (units,)
        Their penalties.
    """
    every = folds[0]
    for fold in folds[1:]:
        every = every + fold
    k, units = len(folds), len(every.yy)
    inner = np.zeros((k, len(PENALTIES), units))  # by the fold that is held out
    outer = np.zeros((len(PENALTIES), units))
    for one in range(k):
        for other in range(one):
            both = Ridge(every - folds[one] - folds[other])
            for place, penalty in enumerate(PENALTIES):
                found = both.coefficients(penalty)
                inner[one, place] += folds[other].errors(found)
                inner[other, place] += folds[one].errors(found)
    without = []
    for held, errors in zip(folds, inner, strict=True):
        fitted = Ridge(every - held)
        for place, penalty in enumerate(PENALTIES):
            outer[place] += held.errors(fitted.coefficients(penalty))
        without.append(fitted.coefficients(chosen_penalties(errors)))
    penalties = chosen_penalties(outer)
    return without, Ridge(every).coefficients(penalties), penalties
