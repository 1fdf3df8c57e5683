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

from ..scoring.blur import bells
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
    return blurred(x, y, size, px_per_degree)


def blurred(x: np.ndarray, y: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray:
    """Return fixations blurred by a Gaussian of ``sigma`` pixels, cut at 4σ.

    What falls off the edge is lost. Equal to a filtered image of counts, but made of each
    fixation's row and column, which is faster for some hundred fixations.
    """
    rows, columns = (
        bells(place, length, sigma) for place, length in zip((y, x), size, strict=True)
    )
    return rows.T @ columns


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
    saliency: np.ndarray, x: np.ndarray, y: np.ndarray, other_x: np.ndarray, other_y: np.ndarray
) -> float:
    """Return the area under the ROC curve: fixations against all those on other images.

    A map that only predicts people's bias to the centre gains nothing from it here. Nothing is
    drawn at random; draws of as many others as there are fixations have this mean.

    Parameters
    ----------
    saliency : float array, shape (height, width)
    x, y : int arrays, shape (n,)
        Fixations.
    other_x, other_y : int arrays, shape (m,)
        Fixations on other images.
    """
    return _auc(saliency[y, x], saliency[other_y, other_x])


def cc(saliency: np.ndarray, empirical: np.ndarray) -> float:
    """Return Pearson's correlation with the empirical saliency map; 0 if a map is constant."""
    if saliency.std() == 0 or empirical.std() == 0:
        return 0.0
    return float(np.corrcoef(saliency.ravel(), empirical.ravel())[0, 1])


def sim(saliency: np.ndarray, empirical: np.ndarray) -> float:
    """Return the sum of the smaller of two densities, each from its map's minimum up.

    The minimum is subtracted as in the MIT benchmark's code; pysaliency subtracts only a negative
    one. Maps with a minimum of 0 score the same in both.
    """
    smaller = np.minimum(*(density(image - image.min()) for image in (saliency, empirical)))
    return float(smaller.sum())


def kl(saliency: np.ndarray, empirical: np.ndarray) -> float:
    """Return Σ q log(ε + q / (p + ε)), natural logarithm: q the empirical density, p the map's.

    ε is 2⁻⁵², as in the MIT benchmark's code. See `density` for how a map becomes a density.
    """
    p, q = density(saliency), density(empirical)
    return float((q * np.log(_EPSILON + q / (p + _EPSILON))).sum())


def information_gain(
    saliency: np.ndarray, baseline: np.ndarray, x: np.ndarray, y: np.ndarray
) -> float:
    """Return the mean at fixations of log₂ of the map's density over the baseline's, in bits.

    Parameters
    ----------
    saliency, baseline : float arrays, shape (height, width)
        Densities, or maps to be divided by their sum; see `density`.
    x, y : int arrays, shape (n,)
        Fixations.
    """
    p, b = density(saliency), density(baseline)
    return float(np.mean(np.log2(_EPSILON + p[y, x]) - np.log2(_EPSILON + b[y, x])))


def density(image: np.ndarray) -> np.ndarray:
    """Return a map divided by its sum; uniform if it is 0 everywhere.

    A map with negative values is raised to a minimum of 0 first; no other map's minimum is
    subtracted, as in pysaliency and the MIT benchmark's KL.
    """
    image = image - min(image.min(), 0)
    total = image.sum()
    return image / total if total > 0 else np.full(image.shape, 1 / image.size)


def _auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return how often a positive exceeds a negative; ties count half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    not_above = np.searchsorted(ordered, positive, "right")
    return float((below + not_above).sum() / (2 * len(positive) * len(negative)))
