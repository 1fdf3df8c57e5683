"""Clustering of fixation positions by mean shift, HDBSCAN or DBSCAN; all deterministic."""

from __future__ import annotations

import numpy as np

NOISE = -1
"""Label of a fixation that belongs to no cluster."""


def mean_shift(positions: np.ndarray, bandwidth: float) -> np.ndarray:
    """Cluster by mean shift with a flat kernel, with every point as a seed.

    The labels equal those of ``sklearn.cluster.MeanShift(bandwidth).fit(positions)``, but all
    seeds move at once, which is about thirty times faster for the fixations on a stimulus.

    Parameters
    ----------
    positions : float array, shape (n, 2)
        In degrees.
    bandwidth : float
        Radius of the kernel, in degrees.

    Returns
    -------
    int array, shape (n,)
        Cluster numbers from 0, densest first.

    References
    ----------
    Comaniciu & Meer, "Mean shift: a robust approach toward feature space analysis", PAMI 2002.
    """
    if len(positions) == 0:
        return np.empty(0, dtype=np.intp)
    modes = positions.astype(np.float64)
    counts = np.zeros(len(modes), dtype=np.intp)
    moving = np.arange(len(modes))
    for _ in range(300):  # scikit-learn's max_iter
        near = _within(modes[moving], positions, bandwidth)
        counts[moving] = near.sum(axis=1)
        shifted = (near @ positions) / counts[moving, None]
        step = np.linalg.norm(shifted - modes[moving], axis=1)
        modes[moving] = shifted
        moving = moving[step > 1e-3 * bandwidth]
        if moving.size == 0:
            break
    # scikit-learn's order: by the number of points within reach, ties by position.
    order = np.lexsort((modes[:, 1], modes[:, 0], counts))[::-1]
    modes = modes[order]
    near = _within(modes, modes, bandwidth)
    kept = np.ones(len(modes), dtype=bool)
    for index in range(len(modes)):
        if kept[index]:
            kept[near[index]] = False
            kept[index] = True
    return _squared_distances(positions, modes[kept]).argmin(axis=1)


def hdbscan(positions: np.ndarray, min_cluster_size: int) -> np.ndarray:
    """Cluster by scikit-learn's HDBSCAN; points in no cluster get `NOISE`.

    References
    ----------
    Campello, Moulavi & Sander, "Density-based clustering based on hierarchical density
    estimates", PAKDD 2013.
    """
    from sklearn.cluster import HDBSCAN

    if len(positions) < max(2, min_cluster_size):
        return np.full(len(positions), NOISE)
    model = HDBSCAN(min_cluster_size=min_cluster_size, copy=True)  # pyright: ignore
    return model.fit_predict(positions)


def dbscan(positions: np.ndarray, radius: float, min_samples: int) -> np.ndarray:
    """Cluster by scikit-learn's DBSCAN; points in no cluster get `NOISE`.

    References
    ----------
    Ester, Kriegel, Sander & Xu, "A density-based algorithm for discovering clusters in large
    spatial databases with noise", KDD 1996.
    """
    from sklearn.cluster import DBSCAN

    if len(positions) == 0:
        return np.empty(0, dtype=np.intp)
    return DBSCAN(eps=radius, min_samples=min_samples).fit_predict(positions)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return ((a[:, None, 0] - b[None, :, 0]) ** 2) + ((a[:, None, 1] - b[None, :, 1]) ** 2)


def _within(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    return _squared_distances(a, b) <= radius**2
