"""What units score where and when subjects look: the statistics of slices of the fixations.

Ten units are chosen as in the whole run, by all fixations of two thirds of the stimuli, and scored
on the third by the fixations of a slice. So slices are compared by the same units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from ...datasets.progress import SILENT, Progress
from ..records.columns import LayerUnits
from .clusters import q_values
from .cross_fit import PARTS, SPLITS, CrossFit, FoldMeans, chosen_units, cross_fit
from .selectivity import TOP, Group, fold_means, groups
from .two_way import Influence, TwoWay

SLICE_COLUMNS = (
    *("layer", "category", "slice", "mean", "low", "high"),
    *("regions", "without_fixations", "stimuli", "subjects"),
)
"""Columns of ``by.parquet``."""

DIFFERENCE_COLUMNS = (
    *("layer", "category", "slice", "less", "difference", "low", "high", "p", "q"),
    *("regions", "stimuli", "subjects"),
)
"""Columns of ``by_differences.parquet``."""

SHARE_COLUMNS = (
    *("category", "slice", "share", "low", "high"),
    *("difference", "difference_low", "difference_high", "p", "q", "fixations"),
)
"""Columns of ``by_shares.parquet``."""


@dataclass(frozen=True, eq=False)
class SubjectLooks:
    """What subjects' fixations score in regions, a row for each subject, region and slice.

    Attributes
    ----------
    region, slice, subject, weight : int arrays, shape (n,)
        Row of the run's scores; slice; subject; number of distinct fixated pixels.
    scores : float array (or memory map), shape (n, units)
    """

    region: np.ndarray
    slice: np.ndarray
    subject: np.ndarray
    weight: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, eq=False)
class _Cell:
    """One layer and category: its units chosen, its regions' slices, and its subjects' looks."""

    group: Group
    chosen_by: FoldMeans
    chosen: np.ndarray  # (SPLITS, PARTS, TOP)
    values: np.ndarray  # (regions, slices, units)
    counts: np.ndarray  # (regions, slices)
    looks: SubjectLooks  # of these regions, numbered as in the group; scores of this layer

    def fit(self, values: np.ndarray, known: np.ndarray) -> CrossFit:
        """Return the chosen units' mean of some values, shape (regions, units)."""
        held = self.group.folds[known].means(values[known])
        return cross_fit(self.chosen_by, held, top=TOP)[0]

    def influence(self, k: int, known: np.ndarray) -> Influence:
        """Return what each look adds to the error of the mean of slice k over some regions."""
        looks, folds = self.looks, self.group.folds
        rows = np.flatnonzero((looks.slice == k) & known[looks.region])
        region, weight = looks.region[rows], looks.weight[rows]
        share = weight / np.bincount(region, weight, minlength=len(known))[region]
        scores = looks.scores[rows].astype(np.float64)
        total, sums = np.zeros(len(rows)), np.zeros(len(rows))
        for part, chosen in zip(folds.part, self.chosen, strict=True):
            size = np.bincount(part[known], minlength=PARTS)
            weight = share / (SPLITS * (size > 0).sum() * size[part[region]])
            own = np.take_along_axis(scores, chosen[part[region]], axis=1).mean(axis=1)
            total += weight
            sums += weight * own
        deviation = sums - total * sums.sum()
        return Influence(self.group.stimulus[region], looks.subject[rows], deviation).corrected()


def summarise_slices(
    scores: np.ndarray,
    sliced: np.ndarray,
    n_fixations: np.ndarray,
    looks: SubjectLooks,
    regions: pd.DataFrame,
    layers: Sequence[LayerUnits],
    categories: list[str],
    names: Sequence[str],
    seed: int = 0,
    progress: Progress = SILENT,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the statistics of slices, and of their differences.

    Parameters
    ----------
    scores : float32 array, shape (regions, units)
        NSS of all fixations.
    sliced : float32 array, shape (regions × slices, units)
        NSS of each slice's, region by region; NaN where a region has none.
    n_fixations : int array, shape (regions × slices,)
    looks : SubjectLooks
    regions : DataFrame
        ``image_id, category, n_fixations``, in the order of the scores' rows.
    layers : sequence of LayerUnits
    categories, names : sequences of str
        Of the categories and of the slices.
    seed : int
    progress : Progress

    Returns
    -------
    slices : DataFrame
        ``layer, category, slice, mean``: the mean NSS of ten units in the slice, over the regions
        with a fixation in it, each once. ``low, high``: its 95 % interval, stimuli and subjects
        being samples (see `TwoWay`). ``regions, without_fixations``: how many have one, and how
        many do not and are left out. ``stimuli, subjects``: of these regions.
    differences : DataFrame
        ``layer, category, slice, less, difference, low, high, p, q``: the slice's mean less that of
        the slice ``less``, over the regions with fixations in both; q is Benjamini–Hochberg's over
        the table. NaN for what cannot be known.
    """
    n = len(names)
    by_category = groups(regions, categories, seed)
    counts = n_fixations.reshape(-1, n)
    rows, pairs = [], []
    with progress.task("statistics of slices", len(layers)) as advance:
        for layer in layers:
            for category, group in by_category.items():
                place = {"layer": layer.name, "category": category}
                cell = _cell(scores, sliced, counts, looks, layer.columns, group)
                for one in _means(cell, names):
                    rows.append({**place, **one})
                for one in _differences(cell, names):
                    pairs.append({**place, **one})
            advance(1)
    table = pd.DataFrame(rows, columns=list(SLICE_COLUMNS))
    differences = pd.DataFrame(pairs, columns=[name for name in DIFFERENCE_COLUMNS if name != "q"])
    differences["q"] = q_values(differences["p"].to_numpy(np.float64))
    return table, differences[list(DIFFERENCE_COLUMNS)]


def _cell(
    scores: np.ndarray,
    sliced: np.ndarray,
    counts: np.ndarray,
    looks: SubjectLooks,
    columns: slice,
    group: Group,
) -> _Cell:
    n = counts.shape[1]
    chosen_by = fold_means(scores, columns, group)
    rows = (group.rows[:, None] * n + np.arange(n)).ravel()
    values = np.asarray(sliced[rows, columns]).reshape(
        len(group.rows), n, columns.stop - columns.start
    )
    place = np.full(len(counts), -1, dtype=np.int64)
    place[group.rows] = np.arange(len(group.rows))
    mine = np.flatnonzero(place[looks.region] >= 0)
    own = SubjectLooks(
        *(place[looks.region[mine]], looks.slice[mine], looks.subject[mine], looks.weight[mine]),
        np.asarray(looks.scores[mine, columns]),
    )
    return _Cell(group, chosen_by, chosen_units(chosen_by, TOP), values, counts[group.rows], own)


def _means(cell: _Cell, names: Sequence[str]) -> Iterator[dict]:
    for k, name in enumerate(names):
        known = cell.counts[:, k] > 0
        fit = cell.fit(cell.values[:, k], known)
        influence = cell.influence(k, known)
        found = _two_way(fit, influence, influence.n_subjects)
        yield {
            "slice": name,
            **found.interval.columns("mean", prefix=False),
            "regions": int(known.sum()),
            "without_fixations": int((~known).sum()),
            "stimuli": fit.n_stimuli,
            "subjects": influence.n_subjects,
        }


def _differences(cell: _Cell, names: Sequence[str]) -> Iterator[dict]:
    for first, second in combinations(range(len(names)), 2):
        known = (cell.counts[:, first] > 0) & (cell.counts[:, second] > 0)
        fit = cell.fit(cell.values[:, second] - cell.values[:, first], known)
        each = [cell.influence(k, known) for k in (first, second)]
        n_subjects = min(one.n_subjects for one in each)
        found = _two_way(fit, each[1] - each[0], n_subjects)
        yield {
            "slice": names[second],
            "less": names[first],
            **found.interval.columns("difference", prefix=False),
            "p": found.p,
            "regions": int(known.sum()),
            "stimuli": fit.n_stimuli,
            "subjects": n_subjects,
        }


def _two_way(fit: CrossFit, influence: Influence, n_subjects: int) -> TwoWay:
    """Return a cross-fitted mean with the error of its stimuli and of its subjects."""
    _, of_subjects = influence.variances()
    return TwoWay(fit.value, fit.standard_error**2, of_subjects, fit.n_stimuli, n_subjects)


def summarise_shares(
    gaze: pd.DataFrame, categories: Sequence[str], names: Sequence[str]
) -> pd.DataFrame:
    """Compute where subjects look: the share of a slice's fixations that a category has.

    Parameters
    ----------
    gaze : DataFrame
        ``image_id, subject, slice`` (its index) and ``fixations``, and for each category by its
        index a column: how many of these lie in its regions; a row for each that looked.
    categories, names : sequences of str
        Of the categories and of the slices.

    Returns
    -------
    DataFrame
        ``category, slice, share, low, high``, and ``difference, difference_low, difference_high,
        p, q`` to the first slice, with intervals of both stimuli and subjects; ``fixations`` of the
        slice in the category. q is Benjamini–Hochberg's over the table. NaN for a category that
        nobody looked at.
    """
    rows = []
    stimulus, subject = (
        np.unique(gaze[name], return_inverse=True)[1] for name in ("image_id", "subject")
    )
    number, fixations = gaze["slice"].to_numpy(), gaze["fixations"].to_numpy(np.float64)
    for index, category in enumerate(categories):
        inside = gaze[index].to_numpy(np.float64)
        first = None
        for k, name in enumerate(names):
            own = number == k
            total, looked = fixations[own].sum(), inside[own].sum()
            share = looked / total if inside.any() else np.nan
            deviation = (inside[own] - share * fixations[own]) / total
            influence = Influence(stimulus[own], subject[own], deviation).corrected()
            found = _of_looks(share, influence, influence.n_subjects if looked else 0)
            one = {
                "category": category,
                "slice": name,
                **found.interval.columns("share", prefix=False),
            }
            if first is None:
                first = share, influence
                change = _of_looks(np.nan, influence, 0)
            else:
                both = min(influence.n_subjects, first[1].n_subjects) if inside.any() else 0
                change = _of_looks(share - first[0], influence - first[1], both)
            one |= {**change.interval.columns("difference"), "p": change.p}
            rows.append({**one, "fixations": int(looked)})
    table = pd.DataFrame(rows)
    table["q"] = q_values(table["p"].to_numpy(np.float64))
    return table[list(SHARE_COLUMNS)]


def _of_looks(value: float, influence: Influence, n_subjects: int) -> TwoWay:
    """Return an estimate whose whole error is that of its looks."""
    n_stimuli = len(np.unique(influence.stimulus))
    return TwoWay(value, *influence.variances(), n_stimuli, n_subjects)
