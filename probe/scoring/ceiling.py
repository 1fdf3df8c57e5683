"""The ceiling of a region's NSS: what half of the observers predict of the other half."""

from __future__ import annotations

import numpy as np

from ...datasets.fixations import Fixations
from ...datasets.stimuli import Stimulus
from .blur import bells

SPLITS = 5
"""Random halvings of the subjects; both ways count."""


def ceilings(
    stimulus: Stimulus, fixations: Fixations, inside: list[np.ndarray], px_per_degree: float
) -> np.ndarray:
    """Return the NSS of one half's empirical saliency map at the other half's fixations.

    Parameters
    ----------
    stimulus : Stimulus
    fixations : Fixations
        The n fixations on the stimulus.
    inside : list of bool arrays, shape (n,)
        Which of them lie inside each region.
    px_per_degree : float
        The map is the fixations of half of the subjects, blurred by a Gaussian of one degree.

    Returns
    -------
    float64 array, shape (regions,)
        The mean over both ways and `SPLITS` halvings, seeded by the stimulus's id. NaN if no
        halving has fixations of both halves, the scored half's inside the region.

    Notes
    -----
    No map is computed. With gx (n × width) and gy (n × height) the Gaussians along each axis, the
    map of the fixations that a vector a of 0 and 1 selects has at fixation k the value
    Σ aᵢ gx[i, xₖ] gy[i, yₖ], the mean Σ aᵢ Σgx[i] Σgy[i] / (width · height), and the mean square
    aᵀ (gx gxᵀ ∘ gy gyᵀ) a / (width · height).
    """
    subjects, subject = np.unique(fixations.subject, return_inverse=True)
    if len(subjects) < 2 or not inside:
        return np.full(len(inside), np.nan)
    gx = bells(fixations.x, stimulus.width, px_per_degree)
    gy = bells(fixations.y, stimulus.height, px_per_degree)
    area = stimulus.width * stimulus.height
    sums, products = gx.sum(1) * gy.sum(1), (gx @ gx.T) * (gy @ gy.T)
    rng = np.random.default_rng(stimulus.id % 2**63)
    firsts = [rng.permutation(len(subjects)) < len(subjects) // 2 for _ in range(SPLITS)]
    halves = np.array([half[subject] for first in firsts for half in (first, ~first)])
    halves = halves[halves.any(axis=1)]
    chosen = halves.astype(np.float64)
    mean = chosen @ sums / area
    variance = ((chosen @ products) * chosen).sum(axis=1) / area - mean**2
    # Two fixations on one pixel count once.
    pixel = fixations.y * stimulus.width + fixations.x
    _, first, place = np.unique(pixel, return_index=True, return_inverse=True)
    x, y = fixations.x[first], fixations.y[first]
    deviation = chosen @ (gx[:, x] * gy[:, y]) - mean[:, None]
    sd = np.sqrt(variance.clip(0))[:, None]
    nss = np.divide(deviation, sd, out=np.zeros_like(deviation), where=sd > 0)
    on_pixel = np.eye(len(first))[place]
    looked = (np.array(inside)[:, None] & ~halves) @ on_pixel > 0  # (regions, halves, pixels)
    counts = looked.sum(axis=2)
    known = counts > 0
    means = np.einsum("rhp,hp->rh", looked, nss) / np.maximum(counts, 1)
    ways = known.sum(axis=1)
    return np.where(ways > 0, (means * known).sum(axis=1) / np.maximum(ways, 1), np.nan)
