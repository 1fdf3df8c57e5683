"""Two runs side by side: differences per layer and category, with paired intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ..runs.run import Run
from ..statistics.bootstrap import Resamples
from ..statistics.selectivity import groups, top_series, top_units


def compare(before: Run, after: Run, seed: int = 0) -> pd.DataFrame:
    """Compare the top-10 means of two runs on the regions that both scored.

    Layers are matched by name. Each run uses its own ten units per layer and category, chosen
    on all of its regions.

    Returns
    -------
    DataFrame
        ``layer, category, before, after, difference, low, high``: low and high are the 95 %
        interval of the difference, from a bootstrap that draws the same stimuli for both
        runs.

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
    ['layer', 'category', 'before', 'after', 'difference', 'low', 'high']
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
    by_category = groups(regions, categories, seed)
    resamples = Resamples.draw(regions["image_id"].nunique(), seed)
    records = []
    for layer in shared:
        pair = ((before, layer, rows[0]), (after, layers[layer.name], rows[1]))
        for category, group in by_category.items():
            series = []
            for run, run_layer, run_rows in pair:
                chosen = run.units[
                    (run.units["layer"] == run_layer.name) & (run.units["category"] == category)
                ]
                mean = chosen["mean"].to_numpy()
                own = replace(group, rows=run_rows[group.rows])
                series.append(top_series(run.scores, run_layer, own, top_units(mean)))
            difference = resamples.interval(series[1] - series[0], group.stimulus)
            means = [scores.mean() if len(scores) else np.nan for scores in series]
            records.append(
                {
                    "layer": layer.name,
                    "category": category,
                    "before": means[0],
                    "after": means[1],
                    **difference.columns("difference", prefix=False),
                }
            )
    return pd.DataFrame(records)


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
