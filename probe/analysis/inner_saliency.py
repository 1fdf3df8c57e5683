"""Inner saliency: what a layer's best units score in regions that did not choose them.

References
----------
He et al., CVPR 2019, section 6, which chooses and scores on the same regions. Then categories
differ where there is nothing but noise, because the best of many units is chosen for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ..statistics.cross_fit import CrossFit, cross_fit
from ..statistics.selectivity import TOP, Group, fold_means, top_units

HALVINGS = 5
"""Random halvings of the stimuli for tests; both ways count."""


def inner_saliency(
    scores: np.ndarray, by_category: Mapping[str, Group]
) -> tuple[np.ndarray, dict[str, CrossFit]]:
    """Return each region's score by units that other regions of its category chose.

    Parameters
    ----------
    scores : float32 array, shape (regions, units of the layer)
    by_category : mapping of Group

    Returns
    -------
    regions : float64 array, shape (regions,)
        The mean over splits of the ten units chosen on the parts without the region's stimulus;
        NaN for regions without fixations or of categories with too few stimuli.
    categories : dict of CrossFit
        The cross-fitted mean of each category that has regions.
    """
    regions, categories = np.full(len(scores), np.nan), {}
    for name, group in by_category.items():
        if not len(group.rows):
            continue
        means = fold_means(scores, slice(0, scores.shape[1]), group)
        categories[name] = cross_fit(means, means, top=TOP)[0]
        own = [
            scores[group.rows[:, None], _best(rest)[part]].mean(axis=1, dtype=np.float64)
            for rest, part in zip(means.rest, group.folds.part, strict=True)
        ]
        if own:
            regions[group.rows] = np.mean(own, axis=0)
    return regions, categories


def halved(
    scores: np.ndarray, by_category: Mapping[str, Group], seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Choose each category's units on one half of the stimuli; score the regions of the other.

    Unlike `inner_saliency`, the regions of one result are all scored by units that none of them
    chose, so tests that take regions for independent hold for it. Halves that leave no region to
    score, because each category is on one stimulus, are passed over.

    Yields
    ------
    rows : int array, shape (n,)
        Rows of the regions scored.
    inner : float64 array, shape (n,)
    """
    groups = [group for group in by_category.values() if len(group.rows)]
    stimuli = np.unique(np.concatenate([group.stimulus for group in groups]))
    rng = np.random.default_rng(seed)
    for _ in range(HALVINGS):
        half = rng.permutation(stimuli)[: len(stimuli) // 2]
        for way in (False, True):
            rows, inner = [], []
            for group in groups:
                choosing = np.isin(group.stimulus, half) != way
                if choosing.all() or not choosing.any():
                    continue
                best = top_units(scores[group.rows[choosing]].mean(axis=0, dtype=np.float64))
                own = group.rows[~choosing]
                rows.append(own)
                inner.append(scores[own[:, None], best].mean(axis=1, dtype=np.float64))
            if rows:
                yield np.concatenate(rows), np.concatenate(inner)


def _best(rest: np.ndarray) -> np.ndarray:
    """Return the highest units of each part, int (parts, TOP)."""
    return np.stack([top_units(mean) for mean in rest])
