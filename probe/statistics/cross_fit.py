"""Units chosen on some stimuli and scored on others, with an interval that covers.

The mean of the ten best units, on the stimuli that they were chosen on, is too high, and an
interval around it does not cover their true mean. Here the stimuli are divided into thirds at
random, `SPLITS` times; the ten units highest on two thirds are scored on the third. The estimate is
the mean over splits and thirds: what units so chosen score on stimuli that did not choose them.

Its standard error comes from a bootstrap in which choosing and scoring are repeated, copies of a
stimulus staying in one third. The error in a resample is its estimate less the mean, over the
stimuli at hand (which are the population here), of the units that it chose. A formula for means
would not do: the thirds often choose the same units, so their errors are correlated.

References
----------
Stone, "Cross-validatory choice and assessment of statistical predictions", Journal of the Royal
Statistical Society B 36(2), 1974. Hall & Wilson, "Two guidelines for bootstrap hypothesis
testing", Biometrics 47(2), 1991 (resample the estimate less the resampled population's value).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from scipy.stats import t as student

from ...datasets.interval import Interval
from .clusters import MIN_STIMULI

SPLITS = 6
"""Random divisions of the stimuli that a cross-fitted mean averages over."""

PARTS = 3
"""Parts of each division: units are chosen on all but one and scored on that one."""

RESAMPLES = 200
"""Resamples of the stimuli: a standard error is known to 5 %."""


@dataclass(frozen=True, eq=False)
class Folds:
    """Observations (regions, arrays …) with their stimuli divided at random, and resampled.

    Attributes
    ----------
    stimulus : int array, shape (n,)
        Index of each observation's stimulus.
    part : int array, shape (SPLITS, n)
        The part that each observation falls into; those of one stimulus stay together. No rows
        if there are fewer than `PARTS` stimuli.
    weights : float32 array, shape (resamples, n)
        How often each observation occurs in each resample of the stimuli.
    """

    stimulus: np.ndarray
    part: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(
        cls, stimulus: np.ndarray, n_stimuli: int, seed: int, resamples: int = RESAMPLES
    ) -> Self:
        """Divide the stimuli of observations.

        Parameters
        ----------
        stimulus : int array, shape (n,)
        n_stimuli : int
            Number of all stimuli. These are resampled, so that with the same seed the resamples
            are the same for other observations on them.
        seed : int
        resamples : int
        """
        present, place = np.unique(stimulus, return_inverse=True)
        rng, k = np.random.default_rng(seed), len(present)
        splits = SPLITS if k >= PARTS else 0
        part = np.array([rng.permutation(np.arange(k) % PARTS)[place] for _ in range(splits)])
        again = np.random.default_rng(seed)
        drawn = again.multinomial(n_stimuli, np.full(n_stimuli, 1 / n_stimuli), resamples)
        weights = drawn[:, stimulus].astype(np.float32)
        return cls(stimulus, part.reshape(splits, len(stimulus)), weights)

    def __getitem__(self, kept: np.ndarray) -> Folds:
        """Return some of the observations, divided as before; bool array, shape (n,)."""
        return Folds(self.stimulus[kept], self.part[:, kept], self.weights[:, kept])

    def means(self, values: np.ndarray) -> FoldMeans:
        """Return the means of units over each part, and over all but that part.

        Parameters
        ----------
        values : float array, shape (n, units)
        """
        exact, single = values.astype(np.float64), values.astype(np.float32)
        shape = (len(self.part), PARTS)
        units, draws = values.shape[1], len(self.weights)
        held, rest = (np.empty((*shape, units)) for _ in range(2))
        held_drawn, rest_drawn = (np.empty((*shape, draws, units), np.float32) for _ in range(2))
        total, drawn_total = exact.sum(0), self.weights @ single
        drawn_count = self.weights.sum(1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            for split, number in np.ndindex(shape):
                kept = self.part[split] == number
                part, count, weights = exact[kept].sum(0), kept.sum(), self.weights[:, kept]
                held[split, number] = part / count
                rest[split, number] = (total - part) / (len(kept) - count)
                drawn, n_drawn = weights @ single[kept], weights.sum(1, keepdims=True)
                held_drawn[split, number] = drawn / n_drawn
                rest_drawn[split, number] = (drawn_total - drawn) / (drawn_count - n_drawn)
            whole = total / len(exact) if len(exact) else np.full(units, np.nan)
        return FoldMeans(whole, held, rest, held_drawn, rest_drawn, len(np.unique(self.stimulus)))


@dataclass(frozen=True, eq=False)
class FoldMeans:
    """Means of units over parts of the stimuli, at hand and resampled.

    NaN where a part has none of the observations.

    Attributes
    ----------
    whole : float64 array, shape (units,)
        Over all stimuli.
    held, rest : float64 arrays, shape (SPLITS, PARTS, units)
        Over the part, and over all others.
    held_drawn, rest_drawn : float32 arrays, shape (SPLITS, PARTS, resamples, units)
        The same in each resample.
    n_stimuli : int
    """

    whole: np.ndarray
    held: np.ndarray
    rest: np.ndarray
    held_drawn: np.ndarray
    rest_drawn: np.ndarray
    n_stimuli: int

    @classmethod
    def join(cls, several: Sequence[FoldMeans]) -> Self:
        """Join the means of several sets of units, over the same stimuli."""
        names = [field.name for field in fields(cls)[:-1]]
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(means, name) for means in several], axis=-1)
            for name in names
        }
        return cls(**joined, n_stimuli=several[0].n_stimuli)


@dataclass(frozen=True, eq=False)
class CrossFit:
    """A cross-fitted mean; the difference of two is one too, if their resamples are the same.

    Attributes
    ----------
    value : float
    errors : float64 array, shape (resamples,)
        Its error in each resample.
    n_stimuli : int
    """

    value: float
    errors: np.ndarray
    n_stimuli: int

    def __sub__(self, other: CrossFit) -> CrossFit:
        n_stimuli = min(self.n_stimuli, other.n_stimuli)
        return CrossFit(self.value - other.value, self.errors - other.errors, n_stimuli)

    @property
    def standard_error(self) -> float:
        """Standard error; NaN for fewer than `MIN_STIMULI` stimuli."""
        known = self.errors[~np.isnan(self.errors)]
        if self.n_stimuli < MIN_STIMULI or len(known) < 2:
            return np.nan
        return float(known.std(ddof=1) * np.sqrt(self.n_stimuli / (self.n_stimuli - 1)))

    @property
    def interval(self) -> Interval:
        """The mean and its 95 % interval (Student's t); NaN bounds for too few stimuli."""
        reach = student.ppf(0.975, max(1, self.n_stimuli - 1)) * self.standard_error
        return Interval(self.value, self.value - reach, self.value + reach)

    @property
    def p(self) -> float:
        """Two-sided p of the mean being 0; NaN for too few stimuli."""
        error = self.standard_error
        if error == 0:
            return float(self.value == 0)
        return float(2 * student.sf(abs(self.value) / error, max(1, self.n_stimuli - 1)))


def cross_fit(chosen_by: FoldMeans, *scored: FoldMeans, top: int) -> list[CrossFit]:
    """Choose units by one measure on all parts but one, and average others over them on that one.

    Parameters
    ----------
    chosen_by : FoldMeans
        The measure whose highest units are chosen.
    *scored : FoldMeans
        Measures to average, of the same units and in the same parts; often ``chosen_by`` itself.
    top : int
        How many units to choose.

    Returns
    -------
    list of CrossFit
        One for each measure scored; NaN if there are too few stimuli to divide.
    """
    chosen = chosen_units(chosen_by, top)
    drawn = [_highest(rest, top) for rest in chosen_by.rest_drawn]
    impossible = np.isnan(chosen_by.rest_drawn[..., 0])
    fits = []
    for measure in scored:
        ways = np.take_along_axis(measure.held, chosen, -1).mean(-1)
        errors = np.full(impossible.shape, np.nan)
        for error, held, units in zip(errors, measure.held_drawn, drawn, strict=True):
            estimate = np.take_along_axis(held, units, -1).mean(-1, dtype=np.float64)
            error[:] = estimate - measure.whole[units].mean(-1)
        errors[impossible] = np.nan
        n_stimuli = min(chosen_by.n_stimuli, measure.n_stimuli)
        value = float(_known_mean(ways, (0, 1)))
        fits.append(CrossFit(value, _known_mean(errors, (0, 1)), n_stimuli))
    return fits


def chosen_units(chosen_by: FoldMeans, top: int) -> np.ndarray:
    """Return the units highest on all parts but one, int (SPLITS, PARTS, top)."""
    return np.argsort(-chosen_by.rest, axis=-1, kind="stable")[..., :top]


def _known_mean(values: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    """Return the mean of what is not NaN; NaN if nothing is left."""
    return np.ma.filled(np.ma.masked_invalid(values).mean(axis=axis), np.nan)


def _highest(values: np.ndarray, top: int) -> np.ndarray:
    """Return the indices of the highest values along the last axis, in no order."""
    top = min(top, values.shape[-1])
    return np.argpartition(-values, top - 1, axis=-1)[..., :top]
