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
    result = np.full(len(inside), np.nan)
    subjects, subject = np.unique(fixations.subject, return_inverse=True)
    if len(subjects) < 2:
        return result
    gx = bells(fixations.x, stimulus.width, px_per_degree)
    gy = bells(fixations.y, stimulus.height, px_per_degree)
    area, pixel = stimulus.width * stimulus.height, fixations.y * stimulus.width + fixations.x
    at_fixations = gx[:, fixations.x] * gy[:, fixations.y]
    sums, products = gx.sum(1) * gy.sum(1), (gx @ gx.T) * (gy @ gy.T)
    rng = np.random.default_rng(stimulus.id % 2**63)
    found: list[list[float]] = [[] for _ in inside]
    for _ in range(SPLITS):
        first = rng.permutation(len(subjects)) < len(subjects) // 2
        for half in (first[subject], ~first[subject]):
            if not half.any():
                continue
            chosen = half.astype(np.float64)
            mean = chosen @ sums / area
            sd = np.sqrt(max(chosen @ products @ chosen / area - mean**2, 0))
            nss = (chosen @ at_fixations - mean) / sd if sd > 0 else np.zeros(len(fixations))
            for values, within in zip(found, inside, strict=True):
                if (looked := within & ~half).any():
                    # Two fixations on one pixel count once.
                    _, once = np.unique(pixel[looked], return_index=True)
                    values.append(float(nss[looked][once].mean()))
    known = [k for k, values in enumerate(found) if values]
    result[known] = [np.mean(found[k]) for k in known]
    return result
