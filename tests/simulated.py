"""Scores of units with known true means, like those of real regions: shared within stimuli."""

from typing import Any

import numpy as np
import pandas as pd

from salprobe.probe.records.columns import LayerUnits
from salprobe.probe.statistics.cross_fit import chosen_units, cross_fit
from salprobe.probe.statistics.selectivity import TOP, fold_means, groups
from salprobe.probe.statistics.slices import SubjectLooks, summarise_slices


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
    by_subject: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what each subject's fixations score in each region, by slices of the fixations.

    Regions have the errors of `simulate`, and others in each slice. A subject has an error for all
    units, which one pattern shares, one for each slice and unit, and one for each look.

    Parameters
    ----------
    true : float array, shape (slices, units)
    per_look : float
        Mean number of fixations of a subject in a region and slice (Poisson).
    by_subject : bool
        Whether each subject is in one slice only, in turns.

    Returns
    -------
    scores : float32 array, shape (regions, subjects, slices, units)
        The mean over the look's fixations.
    counts : int array, shape (regions, subjects, slices)
        Fixations; 0 where a subject did not look.
    stimulus : int array, shape (regions,)
    """
    slices, units = true.shape
    base, stimulus = simulate(rng, n_stimuli, np.zeros(units))
    pattern = rng.normal(0, 0.5, units)
    shared = rng.normal(0, subject_sd, (n_subjects, 1, 1)) * (1 + pattern)
    own = rng.normal(0, subject_sd / 2, (n_subjects, slices, units))
    varied = rng.normal(0, 0.5, (len(stimulus), 1, slices, units))
    counts = rng.poisson(per_look, (len(stimulus), n_subjects, slices))
    if by_subject:
        counts *= (np.arange(n_subjects) % slices)[:, None] == np.arange(slices)
    noise = rng.normal(size=(len(stimulus), n_subjects, slices, units))
    noise /= np.sqrt(np.maximum(counts, 1))[..., None]
    scores = base[:, None, None] + true + shared + own + varied + noise
    seen = counts.any(axis=(1, 2))
    return scores[seen].astype(np.float32), counts[seen], stimulus[seen]


def as_run(scores: np.ndarray, counts: np.ndarray, stimulus: np.ndarray) -> dict[str, Any]:
    """Return `simulate_looks` as what `summarise_slices` takes of a run with one category."""
    regions, _, slices, units = scores.shape
    weighted = scores * counts[..., None]
    of_slice, looks = counts.sum(axis=1), np.nonzero(counts)
    whole = weighted.sum(axis=(1, 2)) / of_slice.sum(axis=1)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        sliced = weighted.sum(axis=1) / of_slice[..., None]
    return {
        "scores": whole.astype(np.float32),
        "sliced": sliced.reshape(regions * slices, units).astype(np.float32),
        "n_fixations": of_slice.ravel(),
        "looks": SubjectLooks(
            *(looks[0], looks[2], looks[1], counts[looks]), scores[looks].astype(np.float16)
        ),
        "regions": pd.DataFrame({"image_id": stimulus, "category": "a", "n_fixations": 1}),
        "layers": [LayerUnits("layer", slice(0, units))],
        "categories": ["a"],
        "names": [str(k) for k in range(slices)],
    }


def slices_hold(
    rng: np.random.Generator, n_stimuli: int, n_subjects: int, true: np.ndarray, **options: Any
) -> tuple[list[bool], list[bool]]:
    """Simulate a run of two slices; return whether intervals hold the true means.

    Returns
    -------
    two_way, stimuli_only : [of the first slice, of the difference]
        The second for intervals that take the subjects for all there are.
    """
    content = as_run(*simulate_looks(rng, n_stimuli, n_subjects, true, **options))
    table, differences = summarise_slices(**content)
    layer, scores = content["layers"][0], content["scores"]
    group = groups(content["regions"], ["a"], 0)["a"]
    parts = fold_means(scores, layer.columns, group)
    chosen = chosen_units(parts, TOP)
    first, second = (one[chosen].mean() for one in true)
    truths = {"mean": (table, first), "difference": (differences, second - first)}
    values = content["sliced"].reshape(len(scores), 2, -1)
    known = content["n_fixations"].reshape(-1, 2) > 0
    plain = {"mean": (values[:, 0], known[:, 0])}
    plain["difference"] = (values[:, 1] - values[:, 0], known.all(axis=1))
    held, alone = [], []
    for name, (frame, truth) in truths.items():
        row, (own, there) = frame.iloc[0], plain[name]
        held.append(bool(row["low"] <= truth <= row["high"]))
        fit = cross_fit(parts, group.folds[there].means(own[there]), top=TOP)[0].interval
        alone.append(bool(fit.low <= truth <= fit.high))
    return held, alone
