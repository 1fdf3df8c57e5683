"""Cross-fitting by hand, against obvious loops, and by simulation."""

from functools import partial

import numpy as np
import pytest
from simulated import simulate, true_means

from salprobe.datasets.interval import Interval
from salprobe.probe.statistics.clusters import MIN_STIMULI
from salprobe.probe.statistics.cross_fit import PARTS, SPLITS, CrossFit, FoldMeans, Folds, cross_fit


def fit(values: np.ndarray, stimulus: np.ndarray, top: int = 10, seed: int = 0) -> CrossFit:
    means = Folds.of(stimulus, stimulus.max() + 1, seed).means(values)
    return cross_fit(means, means, top=top)[0]


def chosen(means: FoldMeans) -> np.ndarray:
    return np.argsort(-means.rest, axis=-1)[..., :10]


def test_an_interval_knows_its_width_and_its_columns() -> None:
    interval = Interval(2.0, 1.5, 3.0)
    assert interval.half_width == 0.75
    assert interval.columns("nss") == {"nss": 2.0, "nss_low": 1.5, "nss_high": 3.0}
    assert interval.columns("nss", prefix=False) == {"nss": 2.0, "low": 1.5, "high": 3.0}
    for prefix in (True, False):
        columns = interval.columns("nss", prefix=prefix)
        assert Interval.of(columns, "nss", prefix=prefix) == interval


def test_three_stimuli_by_hand() -> None:
    # Without the first, the second unit is higher: 1. Without another, the first unit: 0.
    values = np.array([[3, 1], [0, 1], [0, 1]], dtype=np.float32)
    found = fit(values, np.arange(3), top=1)
    assert found.value == pytest.approx(1 / 3)
    assert np.isnan(found.interval.low) and np.isnan(found.p)  # of three stimuli


def test_stimuli_stay_together_in_equal_thirds() -> None:
    stimulus = np.repeat(np.arange(20), 3)
    folds = Folds.of(stimulus, 20, 0)
    assert folds.part.shape == (SPLITS, 60)
    for part in folds.part:
        together = part.reshape(20, 3)
        assert (together == together[:, :1]).all()
        assert sorted(np.bincount(together[:, 0])) == [6, 7, 7]
    assert len({tuple(part) for part in folds.part}) == SPLITS
    some = folds[stimulus > 3]
    np.testing.assert_array_equal(some.part, folds.part[:, 12:])
    np.testing.assert_array_equal(some.weights, folds.weights[:, 12:])


def test_every_resample_has_as_many_stimuli_as_there_are() -> None:
    folds = Folds.of(np.arange(15), 15, 3)
    assert (folds.weights.sum(axis=1) == 15).all()
    # Observations on some of the stimuli are resampled with the others.
    part = Folds.of(np.array([4, 4, 9]), 15, 3)
    np.testing.assert_array_equal(part.weights, folds.weights[:, [4, 4, 9]])
    assert not np.array_equal(folds.weights, Folds.of(np.arange(15), 15, 4).weights)


def test_equals_an_obvious_loop() -> None:
    rng = np.random.default_rng(5)
    stimulus = np.sort(np.concatenate([np.arange(45), rng.integers(0, 45, 45)]))
    values = rng.normal(size=(90, 30)).astype(np.float32)
    other = values + rng.normal(size=values.shape).astype(np.float32)
    folds = Folds.of(stimulus, 45, 2)
    means, scored = folds.means(values), folds[stimulus > 2].means(other[stimulus > 2])
    own, two = cross_fit(means, scored, means, top=4)[::-1]
    for found, measure, kept in ((own, values, stimulus >= 0), (two, other, stimulus > 2)):
        whole = measure[kept].astype(float).mean(axis=0)
        ways, errors = [], np.zeros((SPLITS * PARTS, len(folds.weights)))
        for split in range(SPLITS):
            for part in range(PARTS):
                held = [i for i in range(90) if folds.part[split, i] == part]
                rest = [i for i in range(90) if folds.part[split, i] != part]
                best = sorted(range(30), key=lambda u: -values[rest, u].astype(float).mean())[:4]
                held = [i for i in held if kept[i]]
                ways.append(measure[held][:, best].astype(float).mean())
                for b, weights in enumerate(folds.weights.astype(int)):
                    again = np.repeat(rest, weights[rest])
                    mean = values[again].astype(float).mean(axis=0)
                    best = np.argsort(-mean)[:4]
                    tested = measure[np.repeat(held, weights[held])][:, best].astype(float)
                    errors[PARTS * split + part, b] = tested.mean() - whole[best].mean()
        assert found.value == pytest.approx(np.mean(ways), abs=1e-6)
        np.testing.assert_allclose(found.errors, errors.mean(axis=0), atol=1e-5)
    sd = np.std(own.errors, ddof=1) * np.sqrt(45 / 44)
    assert own.standard_error == pytest.approx(sd)
    assert own.interval.half_width == pytest.approx(2.0154 * sd, rel=1e-4)  # t with 44 degrees


def test_units_in_parts_are_those_of_one_go() -> None:
    rng = np.random.default_rng(1)
    folds = Folds.of(np.arange(30), 30, 0)
    values = rng.normal(size=(30, 50))
    whole = folds.means(values)
    joined = FoldMeans.join([folds.means(values[:, :20]), folds.means(values[:, 20:])])
    for name in ("whole", "held", "rest", "held_drawn", "rest_drawn"):
        np.testing.assert_allclose(
            getattr(joined, name), getattr(whole, name), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_stimuli_have_no_value(n: int) -> None:
    folds = Folds.of(np.arange(n), 5, 0)
    means = folds.means(np.ones((n, 12)))
    assert np.isnan(cross_fit(means, means, top=10)[0].value)


def test_an_interval_needs_ten_stimuli() -> None:
    rng = np.random.default_rng(0)
    for n in (MIN_STIMULI - 1, MIN_STIMULI):
        found = fit(rng.normal(size=(n, 12)), np.arange(n))
        assert np.isfinite(found.value)
        assert np.isfinite(found.interval.low) == np.isfinite(found.p) == (n == MIN_STIMULI)


def test_scores_without_errors_are_certain() -> None:
    found = fit(np.tile(np.arange(20.0), (12, 1)), np.arange(12))
    assert found.interval == (14.5, 14.5, 14.5)
    assert found.p == 0
    same = found - found
    assert same.value == 0 and same.p == 1


@pytest.mark.parametrize("selective", [False, True])
def test_the_interval_covers_and_one_around_the_chosen_does_not(selective: bool) -> None:
    """make coverage has the long form."""
    covered, naive = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        true = true_means(rng, 64, selective)
        values, stimulus = simulate(rng, 30, true)
        means = Folds.of(stimulus, 30, seed).means(values)
        interval = cross_fit(means, means, top=10)[0].interval
        covered.append(interval.low <= true[chosen(means)].mean() <= interval.high)
        best = np.argsort(-means.whole)[:10]
        reach = interval.half_width
        naive.append(abs(means.whole[best].mean() - true[best].mean()) <= reach)
    assert 0.91 <= np.mean(covered) <= 0.99
    assert np.mean(naive) < np.mean(covered) - 0.05


def test_a_small_layer_and_a_large_one_do_not_differ_by_chance() -> None:
    """A difference of plain top-10 means differs here nearly always."""
    p, plain = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        values, stimulus = simulate(rng, 60, np.zeros(320))
        folds = Folds.of(stimulus, 60, seed)
        small, large = map(folds.means, (values[:, :64], values[:, 64:]))
        one, two = (cross_fit(means, means, top=10)[0] for means in (small, large))
        p.append((two - one).p)
        top = [np.sort(means.whole)[-10:].mean() for means in (small, large)]
        plain.append(top[1] - top[0])
    assert np.mean(np.array(p) < 0.05) <= 0.1
    assert np.mean(np.array(plain) > 0) > 0.9


def test_a_real_difference_is_found() -> None:
    rng = np.random.default_rng(0)
    values, stimulus = simulate(rng, 60, true_means(rng, 64, selective=False))
    folds = Folds.of(stimulus, 60, 0)
    before, after = map(folds.means, (values, values + 0.5))
    fits = partial(cross_fit, top=10)
    difference = fits(after, after)[0] - fits(before, before)[0]
    assert difference.value == pytest.approx(0.5, abs=1e-6)
    assert difference.p < 1e-6  # paired: without noise
