"""Which units respond to a category: the statistics of a run.

References
----------
He et al., CVPR 2019, section 4.3: a unit's mean NSS over a category's regions; the mean of the ten
best units of a layer, and the number of units above T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from ...datasets.progress import SILENT, Progress
from ..records.columns import LayerUnits
from .clusters import FDR, Means, means, q_values
from .cross_fit import RESAMPLES, FoldMeans, Folds, cross_fit

TOP = 10
"""Number of best units that Table 2 averages over."""

THRESHOLD = 1.5
"""T of Table 2: a unit responds to a category if its mean NSS is above T."""

_COLUMNS = 128  # units read at a time, to bound memory


@dataclass(frozen=True, eq=False)
class Group:
    """The scored regions of one category.

    Attributes
    ----------
    rows : int array, shape (n,)
        Rows of the scores.
    folds : Folds
        The regions' stimuli, divided and resampled.
    contrasted : bool array, shape (n,)
        Which regions have regions of other categories on their stimulus.
    involved : int array, shape (m,)
        Rows of all scored regions on the contrasted regions' stimuli.
    others : sparse float64 array, shape (contrasted, m)
        Averages over the regions of other categories on each region's stimulus.
    """

    rows: np.ndarray
    folds: Folds
    contrasted: np.ndarray
    involved: np.ndarray
    others: csr_array

    @property
    def stimulus(self) -> np.ndarray:
        """Index of each region's stimulus among all stimuli of the run, int (n,)."""
        return self.folds.stimulus

    @property
    def n_stimuli(self) -> tuple[int, int]:
        """Number of stimuli with the category, and of those where it can be contrasted."""
        return len(np.unique(self.stimulus)), len(np.unique(self.stimulus[self.contrasted]))

    def contrast(self, scores: np.ndarray, columns: slice) -> np.ndarray:
        """Return the contrasted regions' scores less those of their stimuli's other regions.

        Parameters
        ----------
        scores : float32 array, shape (regions, all units)
        columns : slice

        Returns
        -------
        float64 array, shape (contrasted, units)
        """
        own = scores[self.rows[self.contrasted], columns].astype(np.float64)
        return own - self.others @ scores[self.involved, columns].astype(np.float64)


def groups(
    regions: pd.DataFrame, categories: list[str], seed: int, resamples: int = RESAMPLES
) -> dict[str, Group]:
    """Group a run's regions by category, leaving out those without fixations.

    Parameters
    ----------
    regions : DataFrame
        ``image_id, category, n_fixations``, in the order of the scores' rows.
    categories : list of str
    seed : int
        Seed for the divisions and the resamples.
    resamples : int
    """
    scored = (regions["n_fixations"] > 0).to_numpy()
    names = regions["category"].to_numpy()
    images, stimulus = np.unique(regions["image_id"], return_inverse=True)
    labelled = np.flatnonzero(scored & np.isin(names, categories))
    by_category = {}
    for category in categories:
        rows = labelled[names[labelled] == category]
        rest = labelled[names[labelled] != category]
        contrasted = np.isin(stimulus[rows], stimulus[rest])
        involved = rest[np.isin(stimulus[rest], stimulus[rows])]
        own, other = stimulus[rows[contrasted]], stimulus[involved]
        order = np.argsort(other, kind="stable")
        first = np.searchsorted(other[order], own, "left")
        count = np.searchsorted(other[order], own, "right") - first
        indices = np.concatenate(
            [order[a : a + n] for a, n in zip(first, count, strict=True)] or [order[:0]]
        )
        starts = np.concatenate([[0], np.cumsum(count)])
        others = csr_array(
            (np.repeat(1 / np.maximum(count, 1), count), indices, starts),
            shape=(len(own), len(involved)),
        )
        folds = Folds.of(stimulus[rows], len(images), seed, resamples)
        by_category[category] = Group(rows, folds, contrasted, involved, others)
    return by_category


def summarise(
    scores: np.ndarray,
    regions: pd.DataFrame,
    layers: list[LayerUnits],
    categories: list[str],
    seed: int = 0,
    shuffled: np.ndarray | None = None,
    progress: Progress = SILENT,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the statistics of every unit, and of every layer and category.

    Parameters
    ----------
    scores : float32 array (or memory map), shape (regions, units)
    regions : DataFrame
        ``image_id, category, n_fixations`` and perhaps ``ceiling``, in the order of the rows.
    layers : list of LayerUnits
    categories : list of str
    seed : int
        Seed for the bootstrap and the divisions into parts.
    shuffled : float32 array (or memory map), shape (regions, units), optional
        Scores of the same maps at regions of the same category from other stimuli.
    progress : Progress
        Where to report; silent by default.

    Returns
    -------
    units : DataFrame
        ``layer, unit, category, mean, sd, n``: over the category's regions, each region once; sd
        with n - 1. Units count from 0. ``mean_low, mean_high``: 95 % interval of a unit named
        beforehand, stimuli being independent. ``contrast, contrast_low, contrast_high``: the same
        of the NSS in the category's regions less the mean of the other categories' regions on the
        same stimulus. ``contrast_q``: Benjamini–Hochberg's q of a contrast above 0, over all
        units and categories. ``shuffled``: the mean of ``shuffled``.
    summary : DataFrame
        ``layer, category, top10_mean``: the mean of the ten highest units (all, if the layer has
        fewer), which has no interval. ``top10_low, top10_high, top10_crossval``: the mean of ten
        units chosen on two thirds of the stimuli and scored on the third (see `cross_fit`), and its
        95 % interval. ``above_threshold``: the number of units whose mean is above `THRESHOLD`.
        ``contrast, contrast_low, contrast_high``: the contrast of those cross-fitted ten.
        ``selective``: the number of units whose contrast_q is below `FDR`, NaN if none is tested.
        ``shuffled``: the mean of the ten highest units. ``ceiling``: mean over the regions. NaN for
        what cannot be known: no region, one stimulus, or, for intervals and q, fewer than
        `MIN_STIMULI`.
    """
    by_category = groups(regions, categories, seed)
    unit_rows, summary_rows = [], []
    with progress.task("statistics", len(layers)) as advance:
        for layer in layers:
            for category, group in by_category.items():
                units, row = _cell(scores, shuffled, layer.columns, group)
                place = {"layer": layer.name, "category": category}
                unit_rows.append(units.assign(**place))
                known = regions["ceiling"].to_numpy()[group.rows] if "ceiling" in regions else []
                ceiling = np.nanmean(known) if np.isfinite(known).any() else np.nan
                summary_rows.append({**place, **row, "ceiling": ceiling})
            advance(1)
    units, summary = pd.concat(unit_rows, ignore_index=True), pd.DataFrame(summary_rows)
    units["contrast_q"] = q_values(units.pop("p").to_numpy())
    called = (units["contrast_q"] < FDR).astype(float).where(units["contrast_q"].notna())
    selective = called.groupby([units["layer"], units["category"]]).sum(min_count=1)
    keys = pd.MultiIndex.from_frame(summary[["layer", "category"]])
    summary["selective"] = selective.loc[keys].to_numpy()
    return units[list(UNIT_COLUMNS)], summary[list(SUMMARY_COLUMNS)]


UNIT_COLUMNS = (
    *("layer", "unit", "category", "mean", "sd", "n", "mean_low", "mean_high"),
    *("contrast", "contrast_low", "contrast_high", "contrast_q", "shuffled"),
)
"""Columns of ``units.parquet``."""

SUMMARY_COLUMNS = (
    *("layer", "category", "top10_mean", "top10_low", "top10_high", "top10_crossval"),
    *("above_threshold", "contrast", "contrast_low", "contrast_high", "selective"),
    *("shuffled", "ceiling"),
)
"""Columns of ``summary.parquet``."""


def top_units(mean: np.ndarray) -> np.ndarray:
    """Return the indices of the `TOP` highest units, the highest first; ties by index."""
    return np.argsort(-mean, kind="stable")[:TOP]


def fold_means(scores: np.ndarray, columns: slice, group: Group) -> FoldMeans:
    """Return the means by parts of the stimuli of a layer's units over a category's regions."""
    return FoldMeans.join([group.folds.means(scores[group.rows, part]) for part in _parts(columns)])


def _cell(
    scores: np.ndarray, shuffled: np.ndarray | None, columns: slice, group: Group
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the units' rows and the summary's row of one layer and category."""
    n, contrasted = len(group.rows), group.folds[group.contrasted]
    parts, chosen_by, scored = [], [], []
    for part in _parts(columns):
        values, contrast = scores[group.rows, part], group.contrast(scores, part)
        chosen_by.append(group.folds.means(values))
        scored.append(contrasted.means(contrast))
        own, less_others = means(values, group.stimulus), means(contrast, contrasted.stimulus)
        frame = {
            "mean": own.value,
            "sd": values.std(axis=0, ddof=1, dtype=np.float64) if n > 1 else np.nan,
            "n": np.int32(n),
            **_bounds("mean", own),
            "contrast": less_others.value,
            **_bounds("contrast", less_others),
            "p": less_others.p_above_zero(),
            "shuffled": _nan_mean(shuffled[group.rows, part]) if shuffled is not None else np.nan,
        }
        parts.append(pd.DataFrame(frame))
    units = pd.concat(parts, ignore_index=True)
    units.insert(0, "unit", np.arange(len(units), dtype=np.int32))
    mean = units["mean"].to_numpy()
    best = top_units(mean)
    whole, others = FoldMeans.join(chosen_by), FoldMeans.join(scored)
    top10, contrast = (fit.interval for fit in cross_fit(whole, whole, others, top=TOP))
    return units, {
        "top10_mean": mean[best].mean(),
        "top10_low": top10.low,
        "top10_high": top10.high,
        "top10_crossval": top10.value,
        "above_threshold": int((mean > THRESHOLD).sum()),
        **contrast.columns("contrast"),
        "shuffled": units["shuffled"].to_numpy()[best].mean(),
    }


def _parts(columns: slice) -> list[slice]:
    starts = range(columns.start, columns.stop, _COLUMNS)
    return [slice(start, min(start + _COLUMNS, columns.stop)) for start in starts]


def _bounds(name: str, found: Means) -> dict[str, np.ndarray]:
    bounds = found.interval
    return {f"{name}_low": bounds.low, f"{name}_high": bounds.high}


def _nan_mean(values: np.ndarray) -> np.ndarray:
    known = values[~np.isnan(values).all(axis=1)]
    return known.mean(axis=0, dtype=np.float64) if len(known) else np.full(values.shape[1], np.nan)
