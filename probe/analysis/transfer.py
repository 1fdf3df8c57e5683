"""Units chosen on one data set, scored on another: what is left of them there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from ...datasets.errors import InputError
from ..runs.resuming import check_same_network
from ..runs.run import Run
from ..statistics.clusters import mean_interval
from ..statistics.cross_fit import cross_fit
from ..statistics.selectivity import TOP, fold_means, groups, top_units


@dataclass(frozen=True, eq=False)
class Transfer:
    """What is left on one data set of the units that another chose.

    Attributes
    ----------
    table : DataFrame
        ``layer, category, to, chosen, mean, low, high, own, rank, common``. The ten units with the
        highest mean in the first run's ``category`` have the ``mean`` in the second run's regions
        of the category ``to``, with its 95 % interval (none for fewer than ten stimuli).
        ``chosen``: the cross-fitted mean where they were chosen. ``own``: that of the second run's
        own ten units for ``to``. ``rank``: Spearman's correlation of all units' means. ``common``:
        how many of the ten are the second run's ten for ``to``.
    stimuli : int
        How many stimuli of the second run were scored.
    left_out : int
        How many it shares with the first one, and which are left out: they chose the units.
    """

    table: pd.DataFrame
    stimuli: int
    left_out: int


def transfer(chosen_on: Run, scored_on: Run) -> Transfer:
    """Score the best units of one run in the regions of another run of the same network.

    Parameters
    ----------
    chosen_on, scored_on : Run
        Layers are matched by name; every category of one is paired with every one of the other.

    Raises
    ------
    InputError
        If the runs are of different networks or share no layer, or all stimuli of the second are
        in the first.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> masks, gaze = sp.load_masks("sample/masks.json"), "sample/fixations.csv"
    >>> regions = {region.id for region in masks.annotations}
    >>> runs = []
    >>> for name, images in {"a": {1, 2, 3, 4}, "b": {5, 6, 7, 8}}.items():
    ...     masks.subset(images, regions).write(f"sample/{name}.json")
    ...     runs.append(sp.probe(f"sample/{name}.json", model="gabor", out=name))
    >>> sp.transfer(*runs).stimuli
    4
    """
    check_same_network(chosen_on, scored_on)
    theirs = {layer.name: layer for layer in scored_on.layers}
    shared = [
        (layer, theirs[layer.name])
        for layer in chosen_on.layers
        if layer.name in theirs and _width(layer.columns) == _width(theirs[layer.name].columns)
    ]
    if not shared:
        raise InputError(f"{chosen_on.name} and {scored_on.name} share no layer")
    regions, rows, left_out = _unseen(chosen_on, scored_on)
    there = {
        category: replace(group, rows=rows[group.rows])
        for category, group in groups(regions, scored_on.categories, 0, resamples=1).items()
    }
    crossval = chosen_on.table("top10_crossval")
    records = []
    for own, other in shared:
        units = chosen_on.units[chosen_on.units["layer"] == own.name]
        here = units.pivot(index="unit", columns="category", values="mean")
        first = {name: here[name].to_numpy() for name in chosen_on.categories}
        for to, group in there.items():
            scores = scored_on.scores[group.rows, other.columns].astype(np.float64)
            second = scores.mean(0) if len(scores) else np.full(scores.shape[1], np.nan)
            means = fold_means(scored_on.scores, other.columns, group)
            theirs_best = cross_fit(means, means, top=TOP)[0].interval.value
            for category, mean in first.items():
                place = {
                    **{"layer": own.name, "category": category, "to": to},
                    "chosen": crossval.loc[own.name, category],
                }
                if np.isnan(mean).any() or np.isnan(second).any():
                    nothing = dict.fromkeys(("mean", "low", "high", "rank", "common"), np.nan)
                    records.append({**place, **nothing, "own": theirs_best})
                    continue
                best = top_units(mean)
                moved = mean_interval(scores[:, best].mean(1), group.stimulus)
                records.append(
                    {
                        **place,
                        **moved.columns("mean", prefix=False),
                        "own": theirs_best,
                        "rank": rank_correlation(mean, second),
                        "common": float(len(np.intersect1d(best, top_units(second)))),
                    }
                )
    columns = ["layer", "category", "to", "chosen", "mean", "low", "high", "own", "rank", "common"]
    table = pd.DataFrame(records)[columns]
    return Transfer(table, regions["image_id"].nunique(), left_out)


def _unseen(chosen_on: Run, scored_on: Run) -> tuple[pd.DataFrame, np.ndarray, int]:
    """Return the regions of the second run on stimuli that the first has not, and their rows."""
    seen = set(chosen_on.images["sha256"])
    images = scored_on.images
    known = images["image_id"][images["sha256"].isin(seen)]
    kept = ~scored_on.regions["image_id"].isin(known).to_numpy()
    if not kept.any():
        what = f"{chosen_on.name} has all stimuli of {scored_on.name}"
        raise InputError(f"{what}: none is left that did not choose the units")
    return scored_on.regions[kept], np.flatnonzero(kept), len(known)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's correlation; NaN where all units are alike."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    return float(spearmanr(first, second).statistic)  # pyright: ignore


def _width(columns: slice) -> int:
    return columns.stop - columns.start
