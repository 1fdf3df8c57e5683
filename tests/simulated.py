"""Scores of units with known true means, like those of real regions: shared within stimuli."""

import numpy as np


def simulate(
    rng: np.random.Generator, n_stimuli: int, true: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores, float32 (regions, units), and each region's stimulus, int (regions,).

    One to three regions a stimulus; errors of a region (skewed), of a stimulus for each unit, and
    of a stimulus for all units, which three patterns share in different degrees.
    """
    stimulus = np.repeat(np.arange(n_stimuli), rng.integers(1, 4, n_stimuli))
    units = len(true)
    patterns = rng.normal(0, 0.5, (3, units))
    shared = rng.normal(0, 0.3, (n_stimuli, 1)) + rng.normal(size=(n_stimuli, 3)) @ patterns
    own = rng.normal(0, 0.6, (n_stimuli, units))
    errors = rng.gamma(2, 0.5, (len(stimulus), units)) - 1
    return (true + (shared + own)[stimulus] + errors).astype(np.float32), stimulus


def true_means(rng: np.random.Generator, units: int, selective: bool) -> np.ndarray:
    """Return true means: 0, or for a tenth of the units (10 at least) above 0 if selective."""
    true = np.zeros(units)
    if selective:
        true[: max(10, units // 10)] = rng.gamma(2, 0.4, max(10, units // 10))
    return true


def simulate_looks(
    rng: np.random.Generator,
    n_stimuli: int,
    n_subjects: int,
    true: np.ndarray,
    subject_sd: float = 0.3,
    per_look: float = 1.0,
    sd_look: float = 1.0,
    groups: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what each subject's fixations score in each region, by slices of the fixations.

    Regions have the errors of `simulate`. A subject has an error for all units and one for each
    unit, another in each slice, and each look its own.

    Parameters
    ----------
    true : float array, shape (slices, units)
    per_look : float
        Mean number of fixations of a subject in a region and slice (Poisson).
    groups : bool
        Whether each subject is in one slice only, in turns.

    Returns
    -------
    scores : float32 array, shape (regions, subjects, slices, units)
        The mean over the look's fixations.
    stimulus : int array, shape (regions,)
    counts : int array, shape (regions, subjects, slices)
        Fixations; 0 where a subject did not look.
    weights : int array
        The same.
    """
    slices, units = true.shape
    base, stimulus = simulate(rng, n_stimuli, np.zeros(units))
    pattern = rng.normal(0, 0.5, units)
    shared = rng.normal(0, subject_sd, (n_subjects, 1, 1)) * (1 + pattern)
    own = rng.normal(0, subject_sd / 2, (n_subjects, slices, units))
    varied = rng.normal(0, 0.5, (len(stimulus), 1, slices, units))  # regions differ by slice
    counts = rng.poisson(per_look, (len(stimulus), n_subjects, slices))
    if groups:
        turn = np.arange(n_subjects) % slices
        counts *= turn[:, None] == np.arange(slices)
    noise = rng.normal(0, sd_look, (len(stimulus), n_subjects, slices, units))
    noise /= np.sqrt(np.maximum(counts, 1))[..., None]
    scores = base[:, None, None] + true + shared + own + varied + noise
    return scores.astype(np.float32), stimulus, counts, counts
