"""Means over regions whose errors are shared within a stimulus, unit by unit.

References
----------
Liang & Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73(1),
1986 (standard errors from whole clusters). Benjamini & Hochberg, "Controlling the false discovery
rate", Journal of the Royal Statistical Society B 57(1), 1995. Benjamini & Yekutieli, "False
discovery rate-adjusted multiple confidence intervals for selected parameters", Journal of the
American Statistical Association 100(469), 2005.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control
from scipy.stats import t as student

from ...datasets.interval import Interval

MIN_STIMULI = 10
"""With fewer stimuli nothing is inferred: no interval, no test."""

FDR = 0.05
"""False discovery rate of units called selective, and of the marks in a table."""


@dataclass(frozen=True, eq=False)
class Means:
    """Means of units, with standard errors that take whole stimuli for independent.

    Attributes
    ----------
    value, error : float64 arrays, shape (units,)
        The error is NaN for fewer than `MIN_STIMULI` stimuli.
    n_stimuli : int
    """

    value: np.ndarray
    error: np.ndarray
    n_stimuli: int

    @property
    def interval(self) -> Interval:
        """The means with the 95 % intervals of units named beforehand (Student's t)."""
        reach = student.ppf(0.975, max(1, self.n_stimuli - 1)) * self.error
        return Interval(self.value, self.value - reach, self.value + reach)

    @property
    def p(self) -> np.ndarray:
        """Each unit's two-sided p of a mean of 0; NaN if unknown."""
        above = self.p_above_zero()
        certain = (self.error == 0) & (self.value == 0)
        return np.where(certain, 1.0, 2 * np.minimum(above, 1 - above))

    def p_above_zero(self) -> np.ndarray:
        """Return each unit's one-sided p of a mean that is not above 0; NaN if unknown."""
        with np.errstate(invalid="ignore", divide="ignore"):
            p = student.sf(self.value / self.error, max(1, self.n_stimuli - 1))
        return np.where(self.error == 0, np.where(self.value > 0, 0.0, 1.0), p)


def means(values: np.ndarray, stimulus: np.ndarray) -> Means:
    """Return units' means over observations.

    Parameters
    ----------
    values : float array, shape (n, units)
    stimulus : int array, shape (n,)
        Index of each observation's stimulus.
    """
    n, units = values.shape
    present, place = np.unique(stimulus, return_inverse=True)
    k, nothing = len(present), np.full(units, np.nan)
    if n == 0:
        return Means(nothing, nothing, 0)
    value = values.mean(axis=0, dtype=np.float64)
    if k < MIN_STIMULI:
        return Means(value, nothing, k)
    add = csr_array((np.ones(n), (place, np.arange(n))), shape=(k, n))
    residuals = add @ values.astype(np.float64) - np.bincount(place)[:, None] * value
    error = np.sqrt((residuals**2).sum(axis=0) * k / (k - 1)) / n
    return Means(value, error, k)


def mean_interval(values: np.ndarray, stimulus: np.ndarray | None = None) -> Interval:
    """Return a mean over observations, with its 95 % interval.

    Parameters
    ----------
    values : float array, shape (n,)
    stimulus : int array, shape (n,), optional
        Index of each observation's stimulus; by default each has its own.
    """
    found = means(values[:, None], np.arange(len(values)) if stimulus is None else stimulus)
    return Interval(*(float(bound[0]) for bound in found.interval))


def q_values(p: np.ndarray) -> np.ndarray:
    """Return Benjamini–Hochberg's q for each p, over all that are not NaN; any shape."""
    q, known = np.full(p.shape, np.nan), ~np.isnan(p)
    if known.any():
        q[known] = false_discovery_control(p[known])
    return q


def widened_for_selection(
    interval: Interval, n_stimuli: int, n_selected: int, n_all: int
) -> Interval:
    """Return the intervals of units that were selected from many.

    Of intervals so widened, 5 % or fewer miss on average (the false coverage rate).

    Parameters
    ----------
    interval : Interval of float arrays, shape (n_selected,)
        The units' own 95 % intervals; see `Means.interval`.
    n_stimuli, n_selected, n_all : int
        Numbers of stimuli, of the units selected, and of those that they were selected from.
    """
    degrees = max(1, n_stimuli - 1)
    tail = 0.025 * min(1.0, n_selected / max(1, n_all))
    reach = interval.half_width * student.isf(tail, degrees) / student.isf(0.025, degrees)
    return Interval(interval.value, interval.value - reach, interval.value + reach)
