"""How well saliency maps predict fixations, measured as in the MIT/Tübingen benchmark.

References
----------
Bylinskii, Judd, Oliva, Torralba & Durand, "What do different evaluation metrics tell us about
saliency models?", PAMI 41(3), 2019. Kümmerer, Wallis & Bethge, "Information-theoretic model
comparison unifies saliency metrics", PNAS 112(52), 2015.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from ..scoring.nss import map_nss

_EPSILON = np.finfo(np.float64).eps


def empirical(
    x: np.ndarray, y: np.ndarray, size: tuple[int, int], px_per_degree: float
) -> np.ndarray:
    """Return the empirical saliency map: fixations blurred by a Gaussian of one degree.

    Parameters
    ----------
    x, y : int arrays, shape (n,)
        Fixations; two on one pixel count twice.
    size : (height, width)
    px_per_degree : float
        Pixels in one degree of visual angle.

    Returns
    -------
    float64 array, shape (height, width)
    """
    counts = np.zeros(size)
    np.add.at(counts, (y, x), 1)
    return gaussian_filter(counts, px_per_degree, mode="constant")


def nss(saliency: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Return the mean of the standardised map (population sd) at fixations; 0 if it is constant."""
    values = torch.from_numpy(np.asarray(saliency, dtype=np.float64))
    return float(map_nss(values, torch.as_tensor(x), torch.as_tensor(y)))


def auc_judd(saliency: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Return the area under the ROC curve: fixated pixels against all others.

    Ties count half; the released code approximates this by jittering the map.
    """
    fixated = np.zeros(saliency.shape, dtype=bool)
    fixated[y, x] = True
    return _auc(saliency[fixated], saliency[~fixated])


def auc_borji(
    saliency: np.ndarray, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, splits: int = 100
) -> float:
    """Return the area under the ROC curve: fixations against as many pixels drawn at random.

    Parameters
    ----------
    saliency : float array, shape (height, width)
    x, y : int arrays, shape (n,)
        Fixations.
    rng : Generator
    splits : int
        How many times to draw; the result is the mean.
    """
    positive = saliency[y, x]
    drawn = rng.integers(0, saliency.size, (splits, len(x)))
    return float(np.mean([_auc(positive, negative) for negative in saliency.ravel()[drawn]]))


def auc_shuffled(
    saliency: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    other_x: np.ndarray,
    other_y: np.ndarray,
    rng: np.random.Generator,
    splits: int = 100,
) -> float:
    """Return the area under the ROC curve: fixations against as many on other images.

    A map that only predicts people's bias to the centre gains nothing from it here.

    Parameters
    ----------
    saliency : float array, shape (height, width)
    x, y : int arrays, shape (n,)
        Fixations.
    other_x, other_y : int arrays, shape (m,)
        Fixations on other images, drawn from without replacement.
    rng : Generator
    splits : int
        How many times to draw; the result is the mean.
    """
    positive, others = saliency[y, x], saliency[other_y, other_x]
    count = min(len(positive), len(others))
    draws = (rng.choice(others, count, replace=False) for _ in range(splits))
    return float(np.mean([_auc(positive, negative) for negative in draws]))


def cc(saliency: np.ndarray, empirical: np.ndarray) -> float:
    """Return Pearson's correlation with the empirical saliency map; 0 if a map is constant."""
    if saliency.std() == 0 or empirical.std() == 0:
        return 0.0
    return float(np.corrcoef(saliency.ravel(), empirical.ravel())[0, 1])


def sim(saliency: np.ndarray, empirical: np.ndarray) -> float:
    """Return the sum of the smaller of two densities, each from its map's minimum up."""
    return float(np.minimum(_density(_raised(saliency)), _density(_raised(empirical))).sum())


def kl(saliency: np.ndarray, empirical: np.ndarray) -> float:
    """Return Σ q log(ε + q / (p + ε)), natural logarithm: q the empirical density, p the map's."""
    p, q = _density(_raised(saliency)), _density(empirical)
    return float((q * np.log(_EPSILON + q / (p + _EPSILON))).sum())


def information_gain(
    saliency: np.ndarray, baseline: np.ndarray, x: np.ndarray, y: np.ndarray
) -> float:
    """Return the mean at fixations of log₂ of the map's density over the baseline's, in bits.

    Parameters
    ----------
    saliency, baseline : float arrays, shape (height, width)
        The map's density is measured from its minimum up.
    x, y : int arrays, shape (n,)
        Fixations.
    """
    p, b = _density(_raised(saliency)), _density(baseline)
    return float(np.mean(np.log2(_EPSILON + p[y, x]) - np.log2(_EPSILON + b[y, x])))


def _auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return how often a positive exceeds a negative; ties count half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    not_above = np.searchsorted(ordered, positive, "right")
    return float((below + not_above).sum() / (2 * len(positive) * len(negative)))


def _raised(image: np.ndarray) -> np.ndarray:
    return image - image.min()


def _density(image: np.ndarray) -> np.ndarray:
    total = image.sum()
    return image / total if total > 0 else np.full(image.shape, 1 / image.size)
