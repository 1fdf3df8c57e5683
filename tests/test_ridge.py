"""Ridge regression from sums against the obvious one, and what cross-fitting promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge as Peer

from salprobe.probe.explain.ridge import PENALTIES, Ridge, Sums, cross_fit


def sums_of(x: np.ndarray, y: np.ndarray, chunks: int = 1) -> Sums:
    ones = np.hstack([np.ones((len(x), 1)), x])
    p, units = ones.shape[1], y.shape[1]
    sums = Sums(np.zeros((p, p)), np.zeros((p, units)), np.zeros(units))
    for part in np.array_split(np.arange(len(x)), chunks):
        sums.add(ones[part], y[part])
    return sums


def naive(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Return intercept and slopes: standardise, solve, undo."""
    mean, sd = x.mean(0), x.std(0)
    z = np.where(sd > 0, (x - mean) / np.where(sd > 0, sd, 1), 0)
    n, p = z.shape
    slopes = np.linalg.solve(z.T @ z / n + penalty * np.eye(p), z.T @ (y - y.mean(0)) / n)
    slopes = slopes / np.where(sd > 0, sd, 1)[:, None] * (sd > 0)[:, None]
    return np.vstack([y.mean(0) - mean @ slopes, slopes])


def observations(seed: int, n: int = 120, p: int = 7, units: int = 3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + rng.normal(size=p)
    return x, x @ rng.normal(size=(p, units)) + rng.normal(size=(n, units)) + 3


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(PENALTIES.tolist()), st.integers(1, 9))
def test_sums_give_what_all_observations_give(seed: int, penalty: float, chunks: int) -> None:
    x, y = observations(seed)
    found = Ridge(sums_of(x, y, chunks)).coefficients(penalty)
    np.testing.assert_allclose(found, naive(x, y, penalty), rtol=1e-6, atol=1e-8)


def test_scikit_learn_agrees() -> None:
    x, y = observations(1)
    mean, sd = x.mean(0), x.std(0)
    peer = Peer(alpha=0.01 * len(x)).fit((x - mean) / sd, y)
    found = Ridge(sums_of(x, y, 4)).coefficients(0.01)
    np.testing.assert_allclose(found[1:] * sd[:, None], peer.coef_.T, rtol=1e-9)


def test_a_unit_has_its_own_penalty() -> None:
    x, y = observations(2)
    fitted = Ridge(sums_of(x, y))
    found = fitted.coefficients(np.array([1e-6, 1.0, 100.0]))
    for unit, penalty in enumerate((1e-6, 1.0, 100.0)):
        np.testing.assert_allclose(found[:, unit], fitted.coefficients(penalty)[:, unit])


def test_a_constant_feature_is_left_out() -> None:
    x, y = observations(3)
    x[:, 2] = 5
    found = Ridge(sums_of(x, y)).coefficients(0.1)
    assert not found[3].any()
    np.testing.assert_allclose(found, naive(x, y, 0.1), rtol=1e-7, atol=1e-9)


def test_errors_are_those_of_the_predictions() -> None:
    x, y = observations(4)
    sums, coefficients = sums_of(x, y), np.random.default_rng(0).normal(size=(8, 3))
    predicted = coefficients[0] + x @ coefficients[1:]
    np.testing.assert_allclose(sums.errors(coefficients), ((y - predicted) ** 2).sum(0))
    np.testing.assert_allclose(sums.total(), ((y - y.mean(0)) ** 2).sum(0))
    np.testing.assert_allclose(sums.spread(), x.std(0))


def test_cross_fitting_is_the_nested_one_by_hand() -> None:
    parts = [observations(seed, n=40, p=5) for seed in range(4)]
    without, whole, penalties = cross_fit([sums_of(*part) for part in parts])

    def joined(left: list[int]) -> tuple[np.ndarray, np.ndarray]:
        kept = [parts[k] for k in range(4) if k not in left]
        return np.vstack([x for x, _ in kept]), np.vstack([y for _, y in kept])

    def error(left: list[int], on: int, penalty: float) -> np.ndarray:
        found, (x, y) = naive(*joined(left), penalty), parts[on]
        return ((y - found[0] - x @ found[1:]) ** 2).sum(0)

    for held in range(4):
        others = [k for k in range(4) if k != held]
        tried = [sum(error([held, k], k, one) for k in others) for one in PENALTIES]
        best = PENALTIES[np.argmin(tried, axis=0)]
        for unit in range(3):
            expected = naive(*joined([held]), best[unit])[:, unit]
            np.testing.assert_allclose(without[held][:, unit], expected, rtol=1e-5, atol=1e-8)
    tried = [sum(error([k], k, one) for k in range(4)) for one in PENALTIES]
    np.testing.assert_array_equal(penalties, PENALTIES[np.argmin(tried, axis=0)])
    for unit in range(3):
        expected = naive(*joined([]), penalties[unit])[:, unit]
        np.testing.assert_allclose(whole[:, unit], expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_not_explained(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [(rng.normal(size=(200, 30)), rng.normal(size=(200, 4))) for _ in range(5)]
    folds = [sums_of(*part) for part in parts]
    without, _, penalties = cross_fit(folds)
    errors = sum(fold.errors(found) for fold, found in zip(folds, without, strict=True))
    whole = sums_of(*map(np.vstack, zip(*parts, strict=True)))
    assert (1 - errors / whole.total() < 0.005).all()
    assert (1 - errors / whole.total()).mean() < 0
    assert penalties.min() >= 0.1
