"""Two views of one unit: intersection over union, and NSS at fixations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..analysis.transfer import rank_correlation
from ..runs.run import Run
from ..statistics.selectivity import top_units
from .dissect import Dissection, check_comparable


def iou_and_nss(dissection: Dissection, run: Run) -> pd.DataFrame:
    """Compare how a dissection and a run of the same network rank a layer's units.

    Parameters
    ----------
    dissection : Dissection
    run : Run
        Layers and categories are matched by name.

    Returns
    -------
    DataFrame
        ``layer, category, units, spearman, common``: over the layer's units, the rank correlation
        of the intersection over union with the mean NSS in the category's regions, and how many of
        the ten highest by one are among the ten highest by the other. NaN where a category has no
        region, or all units are alike.

    Raises
    ------
    InputError
        If they are of different networks, or share no layer or no category.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> small = sp.Backbone("gabor", input_size=(64, 64))
    >>> gaze = "sample/fixations.csv"
    >>> found = sp.dissect("sample/masks.json", model=small, out="dissected")
    >>> run = sp.probe("sample/masks.json", model=small, fixations=gaze, out="run")
    >>> sp.iou_and_nss(found, run).columns.tolist()
    ['layer', 'category', 'units', 'spearman', 'common']
    """
    check_comparable(dissection, run)
    keys = ["layer", "unit", "category"]
    both = dissection.units.merge(run.units[[*keys, "mean"]], on=keys, sort=False)
    rows = []
    for (layer, category), units in both.groupby(["layer", "category"], sort=False):
        iou, nss = (units[name].to_numpy(np.float64) for name in ("iou", "mean"))
        row = {"layer": layer, "category": category, "units": len(units)}
        if np.isnan(iou).any() or np.isnan(nss).any():
            rows.append(row | {"spearman": np.nan, "common": np.nan})
            continue
        common = len(np.intersect1d(top_units(iou), top_units(nss)))
        rows.append(row | {"spearman": rank_correlation(iou, nss), "common": float(common)})
    return pd.DataFrame(rows)
