"""What half of the observers predict of the other half, against maps that are really blurred."""

from pathlib import Path

import numpy as np
import pytest

from salprobe.datasets.fixations import Fixations
from salprobe.datasets.masks.regions import inside
from salprobe.datasets.sources.load import fixations_of, load_masks
from salprobe.datasets.stimuli import Stimulus
from salprobe.probe.saliency.metrics import empirical, nss
from salprobe.probe.scoring.ceiling import SPLITS, ceilings


def reference(
    stimulus: Stimulus, fixations: Fixations, within: list[np.ndarray], px_per_degree: float
) -> list[float]:
    """Blur and standardise the map of each half of each halving, one by one."""
    subjects = np.unique(fixations.subject)
    rng = np.random.default_rng(stimulus.id)
    found: list[list[float]] = [[] for _ in within]
    for _ in range(SPLITS):
        first = subjects[rng.permutation(len(subjects)) < len(subjects) // 2]
        for half in (first, np.setdiff1d(subjects, first)):
            predicting = np.isin(fixations.subject, half)
            size = (stimulus.height, stimulus.width)
            x, y = fixations.x, fixations.y
            density = empirical(x[predicting], y[predicting], size, px_per_degree)
            for values, region in zip(found, within, strict=True):
                looked = region & ~predicting
                pixels = sorted(set(zip(x[looked], y[looked], strict=True)))
                if pixels:
                    values.append(nss(density, *np.array(pixels).T))
    return [float(np.mean(values)) if values else np.nan for values in found]


def test_equals_blurred_maps() -> None:
    rng = np.random.default_rng(0)
    n = 80
    x, y = rng.integers(0, 90, n), rng.integers(0, 60, n)
    x[:30], y[:30] = rng.integers(10, 20, 30), rng.integers(10, 20, 30)
    fixations = Fixations(np.full(n, 7), np.arange(n) % 5, x, y, np.full(n, np.nan))
    stimulus = Stimulus(id=7, file_name="a.png", width=90, height=60)
    within = [(x < 25) & (y < 25), x > 70, (x == x[40]) & (y == y[40]), np.zeros(n, dtype=bool)]
    found = ceilings(stimulus, fixations, within, 4.0)
    np.testing.assert_allclose(found, reference(stimulus, fixations, within, 4.0), atol=1e-9)
    assert found[0] > 1 > found[1]  # where many look, the others look too
    assert np.isnan(found[3])


def test_one_subject_has_nobody_to_predict() -> None:
    fixations = Fixations(*np.array([[1, 1], [4, 4], [2, 3], [2, 3], [9, 9]]))
    stimulus = Stimulus(id=1, file_name="a.png", width=9, height=9)
    assert np.isnan(ceilings(stimulus, fixations, [np.ones(2, dtype=bool)], 2.0)).all()


def test_real_regions(osie_root: Path, osie_labels: Path) -> None:
    masks = load_masks(osie_labels)
    gaze = fixations_of(masks, osie_root)
    image_id, regions = next(iter(masks.by_image().items()))
    stimulus, fixations = masks.image(image_id), gaze.of(image_id)
    within = [inside(region, stimulus, fixations) for region in regions]
    expected = reference(stimulus, fixations, within, 23.7)
    found = ceilings(stimulus, fixations, within, 23.7)
    assert found == pytest.approx(expected, abs=1e-9)
