"""Two runs side by side: differences per layer and category, cross-fitted and paired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ..runs.run import Run
from ..statistics.clusters import q_values
from ..statistics.cross_fit import cross_fit
from ..statistics.selectivity import TOP, fold_means, groups

_RESAMPLES = 600
"""More than a run has: marks hang on the differences' p."""


def compare(before: Run, after: Run, seed: int = 0) -> pd.DataFrame:
    """Compare the cross-fitted top-10 means of two runs on the regions that both scored.

    Layers are matched by name. Each run uses its own ten units per layer and category, chosen on
    two thirds of the shared stimuli and scored on the third; see `cross_fit`.

    Returns
    -------
    DataFrame
        ``layer, category, before, after, difference, low, high, p, q``: low and high are the 95 %
        interval of the difference, p that of no difference, from the same resampled stimuli and
        parts for both runs; q is Benjamini–Hochberg's over the table. NaN for too few stimuli.

    Raises
    ------
    InputError
        If the runs share no layer or no region, or label a shared region differently.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> gaze = "sample/fixations.csv"
    >>> small, large = (
    ...     sp.probe(
    ...         "sample/masks.json",
    ...         model=sp.Backbone("gabor", input_size=size),
    ...         fixations=gaze,
    ...         out=f"run-{size[0]}",
    ...     )
    ...     for size in ((64, 64), (128, 128))
    ... )
    >>> change = sp.compare(small, large)
    >>> list(change.columns)
    ['layer', 'category', 'before', 'after', 'difference', 'low', 'high', 'p', 'q']
    """
    layers = {layer.name: layer for layer in after.layers}
    shared = [layer for layer in before.layers if layer.name in layers]
    if not shared:
        raise InputError(
            f"{before.name} and {after.name} share no layer: "
            f"{', '.join(layer.name for layer in before.layers[:4])} … against "
            f"{', '.join(list(layers)[:4])} …"
        )
    regions, rows = shared_regions(before, after)
    categories = [name for name in before.categories if name in after.categories]
    by_category = groups(regions, categories, seed, _RESAMPLES)
    records = []
    for layer in shared:
        pair = ((before, layer, rows[0]), (after, layers[layer.name], rows[1]))
        for category, group in by_category.items():
            fits = []
            for run, run_layer, run_rows in pair:
                own = replace(group, rows=run_rows[group.rows])
                means = fold_means(run.scores, run_layer.columns, own)
                fits += cross_fit(means, means, top=TOP)
            difference = fits[1] - fits[0]
            records.append(
                {
                    "layer": layer.name,
                    "category": category,
                    "before": fits[0].value,
                    "after": fits[1].value,
                    **difference.interval.columns("difference", prefix=False),
                    "p": difference.p,
                }
            )
    table = pd.DataFrame(records)
    return table.assign(q=q_values(table["p"].to_numpy()))


def shared_regions(before: Run, after: Run) -> tuple[pd.DataFrame, tuple[np.ndarray, np.ndarray]]:
    """Return the regions that both runs scored, and their rows in each run.

    Raises
    ------
    InputError
        If the runs share no region, or label a shared region differently.
    """
    key = ["annotation_id", "image_id"]
    both = before.regions.reset_index(names="before_row").merge(
        after.regions.reset_index(names="after_row"), on=key, suffixes=("", "_after")
    )
    if both.empty:
        raise InputError(f"{before.name} and {after.name} share no region")
    different = both[
        (both["category"] != both["category_after"])
        | (both["n_fixations"] != both["n_fixations_after"])
    ]
    if len(different):
        first = different.iloc[0]
        raise InputError(
            f"{before.name} and {after.name} used different masks ({len(different)} regions "
            f"differ): region {first['annotation_id']} is {first['category']} with "
            f"{first['n_fixations']} fixations, or {first['category_after']} with "
            f"{first['n_fixations_after']}"
        )
    return both, (both["before_row"].to_numpy(), both["after_row"].to_numpy())
