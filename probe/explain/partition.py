"""How much of a unit's variance families of features explain: alone, and only together.

References
----------
Borcard, Legendre & Drapeau, "Partialling out the spatial component of ecological variation",
Ecology 73(3), 1992; Lescroart, Stansbury & Gallant, Frontiers in Computational Neuroscience 9,
2015 (on held-out data, of brain responses).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from ..statistics.clusters import MIN_STIMULI, Means
from .bank import FAMILIES

SUBSETS: list[frozenset[str]] = [
    frozenset(subset)
    for size in range(1, len(FAMILIES) + 1)
    for subset in combinations(FAMILIES, size)
]
"""Every set of families that is fitted; the last is all of them."""

ROWS = len(SUBSETS) + 1
"""Sums kept of each unit: the squared errors of every subset, and the total about the mean."""

_EMPTY: frozenset[str] = frozenset()


def _share(families: frozenset[str]) -> np.ndarray:
    """Return the weights of the sums in what these families, and no others, explain together.

    It is the alternating sum over the subsets of these, each with all the others.
    """
    others = frozenset(FAMILIES) - families
    weights = np.zeros(ROWS)
    for size in range(len(families) + 1):
        for subset in combinations(sorted(families), size):
            weights += (-1) ** (size + 1) * _explained(others | frozenset(subset))
    return weights


def _explained(families: frozenset[str]) -> np.ndarray:
    """Return the weights of the sums in what a model of these families explains."""
    weights = np.zeros(ROWS)
    if families != _EMPTY:
        weights[-1] = 1
        weights[SUBSETS.index(families)] -= 1
    return weights


def _columns() -> dict[str, np.ndarray]:
    all_families = frozenset(FAMILIES)
    first = all_families - {"surround"}
    columns = {"r2": _explained(all_families), "r2_filters_position": _explained(first)}
    columns |= {f"r2_{column(name)}": _explained(frozenset({name})) for name in FAMILIES}
    columns |= {f"unique_{column(name)}": _share(frozenset({name})) for name in FAMILIES}
    for subset in SUBSETS[len(FAMILIES) :]:
        named = "_".join(column(name) for name in FAMILIES if name in subset)
        columns[f"shared_{named}"] = _share(subset)
    return columns


def column(name: str) -> str:
    """Return a family's name as part of a column's."""
    return name.lower().replace("-", "_")


COLUMNS: dict[str, np.ndarray] = _columns()
"""The parts that tables hold, and the weights of the sums in each."""


INTERVALS = tuple(name for name in COLUMNS if name == "r2" or name.startswith("unique_"))
"""Those that tables give an interval."""


class Moments:
    """Sums over stimuli, of which shares of variance and their intervals are made.

    Parameters
    ----------
    first : float64 array, shape (`ROWS`, units)
        Sums of the stimuli's sums; modified in place.
    second : float64 array, shape (`ROWS`, `ROWS`, units)
        Sums of their products; modified in place.
    stimuli : float64 array, shape (1,)
        Number of stimuli; modified in place.
    """

    def __init__(self, first: np.ndarray, second: np.ndarray, stimuli: np.ndarray) -> None:
        self._first, self._second, self._stimuli = first, second, stimuli

    def add(self, sums: np.ndarray) -> None:
        """Add a stimulus: float64 (`ROWS`, units)."""
        self._first[...] += sums
        self._second[...] += sums[:, None] * sums[None]
        self._stimuli += 1

    @property
    def stimuli(self) -> int:
        """Number of stimuli."""
        return int(self._stimuli[0])

    def part(self, name: str) -> Means:
        """Return one of `COLUMNS` of each unit; NaN for a unit that does not vary.

        Part = Σ parts / Σ totals, both over stimuli. The standard error is that of a ratio of sums
        over independent stimuli.
        """
        weights, n = COLUMNS[name], self.stimuli
        total = self._first[-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.where(total > 0, weights @ self._first / total, np.nan)
            off = np.repeat(weights[:, None], len(value), 1)
            off[-1] -= value
            squares = np.einsum("ru,rsu,su->u", off, self._second, off) / total**2
        error = np.full(len(value), np.nan)
        if n >= MIN_STIMULI:
            error = np.sqrt(np.clip(squares, 0, None) * n / (n - 1))
        return Means(value, error, n)

    def table(self) -> pd.DataFrame:
        """Return `COLUMNS` of all units, with `INTERVALS`, and ``stimuli``."""
        columns: dict[str, object] = {}
        for name in COLUMNS:
            part = self.part(name)
            kept = part.interval.columns(name)
            columns |= kept if name in INTERVALS else {name: part.value}
        return pd.DataFrame({**columns, "stimuli": self.stimuli})
