"""Standard errors where subjects and stimuli are both samples.

An estimate is a weighted mean over looks: what one subject's fixations give on one stimulus. The
looks of a subject on different stimuli have the subject in common, those on a stimulus have the
stimulus in common, so neither can be taken for independent.

References
----------
Cameron, Gelbach & Miller, "Robust inference with multiway clustering", Journal of Business &
Economic Statistics 29(2), 2011. Clark, "The language-as-fixed-effect fallacy", Journal of Verbal
Learning and Verbal Behavior 12(4), 1973.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from ...datasets.interval import Interval
from .clusters import MIN_STIMULI

MIN_SUBJECTS = 5
"""With fewer subjects nothing is inferred: no interval, no test."""


@dataclass(frozen=True, eq=False)
class TwoWay:
    """An estimate whose error comes from both the stimuli and the subjects.

    Attributes
    ----------
    value : float
    of_stimuli : float
        Variance of the estimate over samples of stimuli, with the looks on them.
    of_subjects : float
        What samples of subjects add to it.
    n_stimuli, n_subjects : int
        Of what is compared, the smaller number.
    """

    value: float
    of_stimuli: float
    of_subjects: float
    n_stimuli: int
    n_subjects: int

    @property
    def standard_error(self) -> float:
        """Standard error; NaN for too few stimuli or subjects."""
        if self.n_stimuli < MIN_STIMULI or self.n_subjects < MIN_SUBJECTS:
            return np.nan
        return float(np.sqrt(self.of_stimuli + self.of_subjects))

    @property
    def degrees(self) -> int:
        """Degrees of freedom: those of the smaller sample."""
        return max(1, min(self.n_stimuli, self.n_subjects) - 1)

    @property
    def interval(self) -> Interval:
        """The estimate and its 95 % interval (Student's t); NaN bounds for too few."""
        reach = student.ppf(0.975, self.degrees) * self.standard_error
        return Interval(self.value, self.value - reach, self.value + reach)

    @property
    def p(self) -> float:
        """Two-sided p of the estimate being 0; NaN for too few."""
        error = self.standard_error
        if error == 0:
            return float(self.value == 0)
        return float(2 * student.sf(abs(self.value) / error, self.degrees))


@dataclass(frozen=True, eq=False)
class Influence:
    """What each look adds to an estimate's error: weight times deviation.

    Attributes
    ----------
    stimulus, subject : int arrays, shape (n,)
    value : float64 array, shape (n,)
    """

    stimulus: np.ndarray
    subject: np.ndarray
    value: np.ndarray

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(np.unique(self.subject))

    def corrected(self) -> Influence:
        """Return the same for the small number of subjects: an estimated mean fits too well."""
        n = self.n_subjects
        factor = np.sqrt(n / (n - 1)) if n > 1 else np.nan
        return Influence(self.stimulus, self.subject, self.value * factor)

    def __sub__(self, other: Influence) -> Influence:
        return Influence(
            np.concatenate([self.stimulus, other.stimulus]),
            np.concatenate([self.subject, other.subject]),
            np.concatenate([self.value, -other.value]),
        )

    def variances(self) -> tuple[float, float]:
        """Return the variance over stimuli, and what subjects add to it, which is 0 or more.

        The latter is of the products of a subject's looks on different stimuli.
        """
        cells, place = np.unique(
            np.stack([self.stimulus, self.subject]), axis=1, return_inverse=True
        )
        cell = np.bincount(place.ravel(), self.value, minlength=cells.shape[1])
        stimuli, subjects = (
            np.bincount(np.unique(one, return_inverse=True)[1], cell) for one in cells
        )
        n = len(stimuli)
        over_stimuli = float((stimuli**2).sum() * n / max(1, n - 1))
        return over_stimuli, max(0.0, float((subjects**2).sum() - (cell**2).sum()))
