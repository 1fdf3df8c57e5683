"""Category statistics of a run (He et al. 2019, section 4.3), intervals, cross-validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...datasets.progress import SILENT, Progress
from ..records.columns import LayerUnits
from .bootstrap import Resamples

TOP = 10
"""Number of best units that Table 2 averages over."""

THRESHOLD = 1.5
"""T of Table 2: a unit responds to a category if its mean NSS is above T."""


HALVINGS = 20
"""Random halvings of the stimuli that a cross-validated mean averages over."""

_COLUMNS = 128  # units read at a time, to bound memory


@dataclass(frozen=True, eq=False)
class Group:
    """The scored regions of one category.

    Attributes
    ----------
    rows : int array, shape (n,)
        Rows of the scores.
    stimulus : int array, shape (n,)
        Index of each region's stimulus among all stimuli of the run.
    halves : bool array, shape (HALVINGS, n)
        Which regions fall into the first half of each halving; regions of one stimulus stay
        together. Empty if fewer than two stimuli have the category.
    """

    rows: np.ndarray
    stimulus: np.ndarray
    halves: np.ndarray


def groups(regions: pd.DataFrame, categories: list[str], seed: int) -> dict[str, Group]:
    """Group a run's regions by category, leaving out those without fixations.

    Parameters
    ----------
    regions : DataFrame
        ``image_id, category, n_fixations``, in the order of the scores' rows.
    categories : list of str
    seed : int
        Seed for the halvings.
    """
    scored = (regions["n_fixations"] > 0).to_numpy()
    _, stimulus = np.unique(regions["image_id"], return_inverse=True)
    by_category = {}
    for category in categories:
        rows = np.flatnonzero((regions["category"] == category).to_numpy() & scored)
        by_category[category] = Group(rows, stimulus[rows], _halvings(stimulus[rows], seed))
    return by_category


def summarise(
    scores: np.ndarray,
    regions: pd.DataFrame,
    layers: list[LayerUnits],
    categories: list[str],
    seed: int = 0,
    progress: Progress = SILENT,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the statistics of every unit, and of every layer and category.

    Parameters
    ----------
    scores : float32 array (or memory map), shape (regions, units)
    regions : DataFrame
        ``image_id, category, n_fixations``, in the order of the rows.
    layers : list of LayerUnits
    categories : list of str
    seed : int
        Seed for the bootstrap and the halvings.
    progress : Progress
        Where to report; silent by default.

    Returns
    -------
    units : DataFrame
        ``layer, unit, category, mean, sd, n``: over the category's regions, each region once; sd
        with n - 1. Units count from 0.
    summary : DataFrame
        ``layer, category, top10_mean, top10_low, top10_high, top10_crossval, above_threshold``:
        the mean of the ten highest units (all, if the layer has fewer); its 95 % interval from
        a bootstrap over stimuli with those ten units kept; the mean of ten units chosen on one
        half of the stimuli and scored on the other, both ways, over `HALVINGS` halvings; the
        number of units whose mean is above `THRESHOLD`. NaN if a category has no region
        or, for the interval and the cross-validation, fewer than two stimuli.
    """
    by_category = groups(regions, categories, seed)
    resamples = Resamples.draw(regions["image_id"].nunique(), seed)
    unit_rows, summary_rows = [], []
    with progress.task("statistics", len(layers)) as advance:
        for layer in layers:
            moments = _moments(scores, layer.columns, by_category)
            for category, group in by_category.items():
                mean, sd, first, second = moments[category]
                unit_rows.append(
                    pd.DataFrame(
                        {
                            "layer": layer.name,
                            "unit": np.arange(len(mean), dtype=np.int32),
                            "category": category,
                            "mean": mean,
                            "sd": sd,
                            "n": np.int32(len(group.rows)),
                        }
                    )
                )
                best = top_units(mean)
                series = top_series(scores, layer, group, best)
                top10 = resamples.interval(series, group.stimulus)
                known = len(group.rows) > 0
                summary_rows.append(
                    {
                        "layer": layer.name,
                        "category": category,
                        "top10_mean": top10.value,
                        "top10_low": top10.low,
                        "top10_high": top10.high,
                        "top10_crossval": _cross_validated(first, second),
                        "above_threshold": int((mean > THRESHOLD).sum()) if known else 0,
                    }
                )
            advance(1)
    return pd.concat(unit_rows, ignore_index=True), pd.DataFrame(summary_rows)


def top_units(mean: np.ndarray) -> np.ndarray:
    """Return the indices of the `TOP` highest units, the highest first; ties by index."""
    return np.argsort(-mean, kind="stable")[:TOP]


def top_series(
    scores: np.ndarray, layer: LayerUnits, group: Group, units: np.ndarray
) -> np.ndarray:
    """Return each region's mean score over given units of a layer, float64 (n,).

    Parameters
    ----------
    scores : float32 array, shape (regions, units)
    layer : LayerUnits
    group : Group
        Regions to average for.
    units : int array
        Indices of units within the layer.
    """
    columns = layer.columns.start + units
    return np.asarray(scores[group.rows[:, None], columns], dtype=np.float64).mean(axis=1)


def _moments(
    scores: np.ndarray, columns: slice, by_category: dict[str, Group]
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Return each category's mean, sd (units,) and half means (HALVINGS, units) twice."""
    parts: dict[str, list] = {category: [] for category in by_category}
    for start in range(columns.start, columns.stop, _COLUMNS):
        block = np.asarray(scores[:, start : min(start + _COLUMNS, columns.stop)])
        for category, group in by_category.items():
            values = block[group.rows].astype(np.float64)
            parts[category].append(_block_moments(values, group.halves))
    return {
        category: tuple(np.concatenate(part, axis=-1) for part in zip(*blocks, strict=True))  # type: ignore[misc]
        for category, blocks in parts.items()
    }


def _block_moments(values: np.ndarray, halves: np.ndarray) -> tuple[np.ndarray, ...]:
    n, units = values.shape
    nothing = np.full(units, np.nan)
    mean = values.mean(axis=0) if n else nothing
    sd = values.std(axis=0, ddof=1) if n > 1 else nothing
    if len(halves) == 0:
        return mean, sd, np.empty((0, units)), np.empty((0, units))
    first = halves / halves.sum(axis=1, keepdims=True)
    second = ~halves / (~halves).sum(axis=1, keepdims=True)
    return mean, sd, first @ values, second @ values


def _cross_validated(first: np.ndarray, second: np.ndarray) -> float:
    """Choose the top units on each half and average them on the other; return the mean."""
    if len(first) == 0:
        return np.nan
    ways = [
        tested[top_units(chosen)].mean()
        for pair in zip(first, second, strict=True)
        for chosen, tested in (pair, pair[::-1])
    ]
    return float(np.mean(ways))


def _halvings(stimulus: np.ndarray, seed: int) -> np.ndarray:
    present = np.unique(stimulus)
    if len(present) < 2:
        return np.empty((0, len(stimulus)), dtype=bool)
    rng = np.random.default_rng(seed)
    half = len(present) // 2
    return np.stack([np.isin(stimulus, rng.permutation(present)[:half]) for _ in range(HALVINGS)])
