"""Which units and regions show what a run found: each layer's best unit on a median region."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ..runs.run import Run


def examples(
    run: Run, layers: str | Sequence[str] = (), categories: str | Sequence[str] = ()
) -> pd.DataFrame:
    """Choose, for each category, a region and each layer's best unit.

    The best unit of a layer has the highest mean NSS over the category's regions. The region is
    the one with the median NSS by the best unit of all these layers; of an even number of regions,
    the lower of the two in the middle. So it is neither picked by eye nor the best.

    Parameters
    ----------
    run : Run
    layers : str or sequence of str
        Names or wildcards (``*``, ``?``); by default all layers of the run.
    categories : str or sequence of str
        By default all that have regions with fixations.

    Returns
    -------
    DataFrame
        ``category, annotation_id, image_id, layer, unit, nss, mean, best``: for each category, in
        the run's order, a row for each layer, in the network's order. ``nss`` is the unit's score
        in the region, ``mean`` over all of the category's regions, and ``best`` marks the unit
        that chose the region.

    Raises
    ------
    InputError
        If the run lacks a layer or a category, or no region (of a category) has fixations.
    """
    names = _layers(run, [layers] if isinstance(layers, str) else layers)
    asked = [categories] if isinstance(categories, str) else categories
    for category in asked:
        if category not in run.categories:
            raise InputError(
                f"no category {category!r} in this run; expected {', '.join(run.categories)}"
            )
    records = []
    scored = run.regions["n_fixations"].to_numpy() > 0
    for category in run.categories:
        rows = np.flatnonzero(scored & (run.regions["category"] == category).to_numpy())
        if category in asked and not len(rows):
            raise InputError(f"{run.folder}: no region of {category!r} has fixations")
        if not len(rows) or (asked and category not in asked):
            continue
        units = run.best_units(category)
        units = units[units["layer"].isin(names)].drop_duplicates("layer")  # the best come first
        by_layer = {row["layer"]: row for row in units.to_dict("records")}
        best = next(iter(by_layer.values()))
        scores = run.scores_of(best["layer"])[rows, best["unit"]]
        middle = rows[np.argsort(scores, kind="stable")[(len(rows) - 1) // 2]]
        region = run.regions[["annotation_id", "image_id"]].iloc[middle].to_dict()
        for layer in names:
            unit, mean = by_layer[layer]["unit"], by_layer[layer]["mean"]
            nss = float(run.scores_of(layer)[middle, unit])
            found = {"layer": layer, "unit": unit, "nss": nss, "mean": mean}
            records.append(
                {"category": category, **region, **found, "best": layer == best["layer"]}
            )
    if not records:
        raise InputError(f"{run.folder}: no labelled region has fixations")
    return pd.DataFrame(records)


def _layers(run: Run, patterns: Sequence[str]) -> list[str]:
    """Return the names of the run's layers that match, in the network's order."""
    names = [layer.name for layer in run.layers]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(
                f"{run.folder}: no layer {pattern!r} in this run; expected {', '.join(names)}"
            )
    return [
        name
        for name in names
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
