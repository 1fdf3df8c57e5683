"""The bootstrap over stimuli, and optionally over subjects.

Regions of one stimulus are not independent, nor are fixations of one subject. Therefore whole
stimuli are drawn, crossed with whole subjects, never single regions or fixations.

References
----------
Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapter 13 (percentile interval).
Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007 (two crossed factors).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...datasets.interval import Interval

RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Resamples:
    """How often each stimulus, and each subject, occurs in each resample.

    The same resamples serve everything computed from the same stimuli, so that differences
    between layers, units or runs are paired.

    Attributes
    ----------
    stimuli : float32 array, shape (RESAMPLES, number of stimuli)
    subjects : float32 array, shape (RESAMPLES, number of subjects), or None
        None if subjects are not drawn.
    """

    stimuli: np.ndarray
    subjects: np.ndarray | None = None

    @classmethod
    def draw(cls, n_stimuli: int, seed: int, n_subjects: int | None = None) -> Resamples:
        """Draw resamples.

        Parameters
        ----------
        n_stimuli : int
        seed : int
        n_subjects : int, optional
            Draw subjects too, independently of the stimuli.
        """
        rng = np.random.default_rng(seed)
        return cls(
            _counts(rng, n_stimuli), None if n_subjects is None else _counts(rng, n_subjects)
        )

    def means(
        self, values: np.ndarray, stimulus: np.ndarray, subject: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the mean over observations (regions, fixations …) in each resample.

        Parameters
        ----------
        values : float array, shape (n,) or (n, units)
        stimulus : int array, shape (n,)
            Index of each observation's stimulus.
        subject : int array, shape (n,), optional
            Index of each observation's subject, if subjects were drawn.

        Returns
        -------
        float64 array, shape (RESAMPLES,) or (RESAMPLES, units)
            NaN in resamples that contain no observation.
        """
        if (subject is None) != (self.subjects is None):
            raise ValueError("subjects are drawn and given, or neither")
        columns = values if values.ndim > 1 else values[:, None]
        if subject is None or self.subjects is None:
            sums = np.zeros((self.stimuli.shape[1], columns.shape[1]))
            np.add.at(sums, stimulus, columns)
            counts = np.bincount(stimulus, minlength=self.stimuli.shape[1])
            total, count = self.stimuli @ sums, self.stimuli @ counts
        else:
            weights = (self.stimuli[:, stimulus] * self.subjects[:, subject]).astype(np.float64)
            total, count = weights @ columns, weights.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (total / count[:, None]).reshape(len(total), *values.shape[1:])

    def interval(
        self, values: np.ndarray, stimulus: np.ndarray, subject: np.ndarray | None = None
    ) -> Interval:
        """Return the mean over observations and its 95 % interval; see `means`.

        NaN bounds if fewer than two stimuli (or subjects) are observed.
        """
        if not len(values):
            return Interval.none()
        drawn = self.means(values, stimulus, subject)
        groups = [stimulus] if subject is None else [stimulus, subject]
        enough = all(len(np.unique(group)) > 1 for group in groups)
        return percentiles(values.mean(axis=0), drawn if enough else drawn[:0])


def mean_interval(values: np.ndarray, seed: int) -> Interval:
    """Return the mean over stimuli of one value each, with its 95 % interval.

    Parameters
    ----------
    values : float array, shape (stimuli,)
    seed : int
    """
    return Resamples.draw(len(values), seed).interval(values, np.arange(len(values)))


def percentiles(value: float | np.ndarray, drawn: np.ndarray) -> Interval:
    """Return the 95 % percentile interval of a statistic from its values in the resamples.

    Parameters
    ----------
    value : float, or float array, shape (units,)
        The estimate itself.
    drawn : float array, shape (resamples,) or (resamples, units)
        NaN resamples are ignored; if none remain, the bounds are NaN.
    """
    known = drawn[~np.isnan(drawn).any(axis=tuple(range(1, drawn.ndim)))]
    if not len(known):
        nothing = np.full(drawn.shape[1:], np.nan)
        low, high = nothing, nothing
    else:
        low, high = np.percentile(known, [2.5, 97.5], axis=0)
    if np.ndim(value) == 0:
        return Interval(float(value), float(low), float(high))
    return Interval(value, low, high)


def _counts(rng: np.random.Generator, n: int) -> np.ndarray:
    if n == 0:
        return np.zeros((RESAMPLES, 0), dtype=np.float32)
    return rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float32)
