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
