"""Changes of single units between two runs.

References
----------
He et al., CVPR 2019, section 5.2: Figures 5 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.interval import Interval
from ..runs.run import Run
from ..statistics.clusters import means, q_values
from ..statistics.selectivity import THRESHOLD, groups
from .compare import shared_regions


@dataclass(frozen=True, eq=False)
class UnitChange:
    """One unit in two runs.

    Attributes
    ----------
    layer : str
    unit : int
        Counted from 0.
    categories : DataFrame
        ``category, n, before, after, difference, low, high, q``: means over regions, the 95 %
        interval of the difference, stimuli being independent, and Benjamini–Hochberg's q of no
        difference over the categories. NaN for too few stimuli.
    regions : DataFrame
        ``annotation_id, image_id, category, before, after, difference``, the largest absolute
        change first.
    """

    layer: str
    unit: int
    categories: pd.DataFrame
    regions: pd.DataFrame


def unit_change(before: Run, after: Run, layer: str, unit: int) -> UnitChange:
    """Compare one unit's scores in two runs, region by region.

    Parameters
    ----------
    before, after : Run
    layer : str
    unit : int
        Counted from 0.

    Raises
    ------
    InputError
        If a run lacks the unit, or they share no region.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> gaze = "sample/fixations.csv"
    >>> run = sp.probe("sample/masks.json", model="gabor", fixations=gaze, out="run")
    >>> change = sp.unit_change(run, run, "log_gabor", 3)
    >>> float(change.regions["difference"].abs().max())
    0.0
    """
    regions, rows = shared_regions(before, after)
    regions = regions[["annotation_id", "image_id", "category", "n_fixations"]].copy()
    for name, run, place in (("before", before, rows[0]), ("after", after, rows[1])):
        scores = run.scores_of(layer)
        if unit >= scores.shape[1]:
            raise InputError(
                f"{run.folder}: {layer} has units 0 to {scores.shape[1] - 1}, no {unit}"
            )
        regions[name] = scores[place, unit].astype(np.float64)
    regions["difference"] = regions["after"] - regions["before"]
    records, p = [], []
    for category, group in groups(regions, before.categories, 0, resamples=1).items():
        part = regions.iloc[group.rows]
        found = means(part[["difference"]].to_numpy(), group.stimulus)
        difference = Interval(*(float(bound[0]) for bound in found.interval))
        row = {"category": category, "n": len(part), **part[["before", "after"]].mean().to_dict()}
        p.append(found.p[0])
        records.append(row | difference.columns("difference", prefix=False))
    categories = pd.DataFrame(records).assign(q=q_values(np.array(p)))
    scored = regions[regions["n_fixations"] > 0].drop(columns="n_fixations")
    order = scored["difference"].abs().sort_values(ascending=False, kind="stable").index
    return UnitChange(layer, unit, categories, scored.loc[order].reset_index(drop=True))


def transitions(before: Run, after: Run, layer: str) -> pd.DataFrame:
    """Return the category that each unit of a layer responds to most, before and after.

    Returns
    -------
    DataFrame
        ``unit, before, before_mean, after, after_mean``: the category with the highest mean
        NSS, and that mean; ``none`` if it is not above `THRESHOLD`.

    Raises
    ------
    InputError
        If a run lacks the layer, or the runs share no region or have different units in it.
    """
    shared_regions(before, after)
    columns: dict[str, Any] = {}
    for name, run in (("before", before), ("after", after)):
        run.scores_of(layer)
        table = run.units[run.units["layer"] == layer]
        means = table.pivot(index="unit", columns="category", values="mean")
        means = means[run.categories].dropna(axis=1, how="all")
        highest = means.max(axis=1)
        columns[name] = means.idxmax(axis=1).where(highest > THRESHOLD, "none")
        columns[f"{name}_mean"] = highest
    units = pd.DataFrame(columns)
    if units.isna().any(axis=None):
        raise InputError(f"{before.name} and {after.name} have different units in {layer}")
    return units.reset_index()


def transition_table(units: pd.DataFrame, categories: list[str]) -> pd.DataFrame:
    """Count units by their category before (rows) and after (columns)."""
    names = [*categories, "none"]
    counts = pd.crosstab(units["before"], units["after"])
    return counts.reindex(index=names, columns=names, fill_value=0)
