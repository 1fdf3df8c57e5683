"""Means whose errors are shared within stimuli: by a peer's implementation, and by simulation."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from simulated import simulate, true_means
from statsmodels.stats.multitest import multipletests

from salprobe.probe.statistics.clusters import (
    MIN_STIMULI,
    mean_interval,
    means,
    q_values,
    widened_for_selection,
)


def test_errors_are_those_of_statsmodels() -> None:
    rng = np.random.default_rng(3)
    values, stimulus = simulate(rng, 20, np.linspace(0, 1, 4))
    found = means(values, stimulus)
    for unit in range(4):
        peer = sm.OLS(values[:, unit].astype(float), np.ones(len(values))).fit(
            cov_type="cluster", cov_kwds={"groups": stimulus}, use_t=True
        )
        assert found.value[unit] == pytest.approx(peer.params[0], rel=1e-6)
        assert found.error[unit] == pytest.approx(peer.bse[0], rel=1e-6)
        assert found.p[unit] == pytest.approx(peer.pvalues[0], rel=1e-4)
        low, high = peer.conf_int()[0]
        assert found.interval.low[unit] == pytest.approx(low, rel=1e-5)
        assert found.interval.high[unit] == pytest.approx(high, rel=1e-5)
    assert found.n_stimuli == 20


def test_a_mean_of_one_value_a_stimulus_by_hand() -> None:
    values = np.array([1.0, 3.0] * 5)  # mean 2, sd (n - 1) 1.054, error 1/3, t 2.262 with 9 degrees
    interval = mean_interval(values)
    assert interval.value == 2
    assert interval.half_width == pytest.approx(2.262157 / 3, rel=1e-6)
    # The same stimuli twice tell no more.
    again = mean_interval(np.tile(values, 2), np.tile(np.arange(10), 2))
    assert again == pytest.approx(interval)


@pytest.mark.parametrize("n", [0, 1, MIN_STIMULI - 1])
def test_too_few_stimuli_have_no_interval(n: int) -> None:
    interval = mean_interval(np.ones(n))
    assert np.isnan([interval.low, interval.high]).all()
    assert np.isnan(interval.value) if n == 0 else interval.value == 1


def test_values_that_do_not_vary_are_certain() -> None:
    found = means(np.tile([0.0, 1.0, -1.0], (12, 1)), np.arange(12))
    assert found.error.tolist() == [0, 0, 0]
    assert found.p_above_zero().tolist() == [1, 0, 1]
    assert found.p.tolist() == [1, 0, 0]


@given(st.lists(st.floats(0, 1) | st.just(np.nan), max_size=30))
def test_q_is_that_of_statsmodels(p: list[float]) -> None:
    given_p = np.array(p, dtype=float)
    known = ~np.isnan(given_p)
    found = q_values(given_p)
    assert np.isnan(found[~known]).all()
    if known.any():
        np.testing.assert_allclose(found[known], multipletests(given_p[known], 0.05, "fdr_bh")[1])


@pytest.mark.parametrize("selective", [False, True])
def test_intervals_of_selected_units_miss_in_five_percent_or_less(selective: bool) -> None:
    missed, plain = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        true = true_means(rng, 128, selective)
        values, stimulus = simulate(rng, 40, true)
        found = means(values, stimulus)
        best = np.argsort(-found.value)[:10]
        own = found.interval._replace(**{k: v[best] for k, v in found.interval._asdict().items()})
        wide = widened_for_selection(own, 40, 10, 128)
        missed.append((wide.low > true[best]) | (wide.high < true[best]))
        plain.append((own.low > true[best]) | (own.high < true[best]))
    assert np.mean(missed) <= 0.05
    assert np.mean(plain) > 0.1
    everything = widened_for_selection(found.interval, 40, 128, 128)
    np.testing.assert_allclose(everything.low, found.interval.low)
