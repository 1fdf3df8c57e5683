"""The benchmark's measures, on maps small enough to compute by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from salprobe.probe.saliency.metrics import (
    auc_borji,
    auc_judd,
    auc_shuffled,
    blurred,
    cc,
    density,
    empirical,
    information_gain,
    kl,
    nss,
    sim,
)

MAP = np.array([[0.0, 1.0], [2.0, 5.0]])
X, Y = np.array([1]), np.array([1])


def test_nss_by_hand() -> None:
    # mean 2, population variance (4 + 1 + 0 + 9) / 4
    assert nss(MAP, X, Y) == pytest.approx(3 / np.sqrt(3.5))
    assert nss(MAP, np.array([1, 0]), np.array([1, 1])) == pytest.approx(1.5 / np.sqrt(3.5))
    assert nss(np.ones((2, 2)), X, Y) == 0


def test_auc_judd_by_hand() -> None:
    assert auc_judd(MAP, X, Y) == 1  # 5 exceeds 0, 1 and 2
    assert auc_judd(MAP, np.array([1]), np.array([0])) == pytest.approx(1 / 3)  # 1: only 0 is below
    assert auc_judd(np.ones((2, 2)), X, Y) == 0.5  # all are ties
    # two fixations on one pixel are one fixated pixel
    assert auc_judd(MAP, np.array([0, 0, 1]), np.array([1, 1, 0])) == pytest.approx((2 - 1) / 2)


def test_auc_borji_by_hand() -> None:
    rng = np.random.default_rng(0)
    # the largest value exceeds three of four pixels and ties with itself
    assert auc_borji(MAP, X, Y, rng, splits=20000) == pytest.approx(0.875, abs=0.01)


def test_auc_shuffled_by_hand() -> None:
    other = (np.array([0, 1]), np.array([1, 1]))  # values 2 and 5
    assert auc_shuffled(MAP, X, Y, *other) == pytest.approx((1 + 0.5) / 2)
    # a map of the centre bias alone has no advantage: the same places on both sides
    both = (np.array([1, 0, 1]), np.array([1, 1, 0]))
    assert auc_shuffled(MAP, *both, *both) == pytest.approx(0.5)


def test_negatives_are_drawn_a_hundred_times_as_many_as_there_are_positives() -> None:
    x, y = np.array([1, 0]), np.array([0, 1])  # values 1 and 2
    rng = np.random.default_rng(4)
    aucs = []
    for drawn in rng.integers(0, 4, (100, 2)):
        negative = MAP.ravel()[drawn]
        pairs = [(p > n) + (p == n) / 2 for p in (1, 2) for n in negative]
        aucs.append(np.mean(pairs))
    assert auc_borji(MAP, x, y, np.random.default_rng(4)) == pytest.approx(np.mean(aucs))


def test_constant_and_silent_maps_by_hand() -> None:
    flat, silent = np.ones((2, 2)), np.zeros((2, 2))
    assert cc(flat, MAP) == cc(MAP, flat) == 0
    # A constant map is a uniform density; so is one that is 0 everywhere.
    assert sim(flat, MAP) == sim(silent, MAP) == pytest.approx(1 / 8 + 1 / 4 + 1 / 4)
    q = np.array([1, 2, 5]) / 8
    assert kl(flat, MAP) == pytest.approx((q * np.log(q * 4)).sum())
    # Where the map has nothing, ε stands in: log(q / ε).
    there = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert kl(1 - there, there) == pytest.approx(np.log(1 / np.finfo(float).eps))
    x, y = np.array([1, 0]), np.array([0, 0])  # values 1 and 0
    expected = (np.log2(1 / 8) + np.log2(np.finfo(float).eps)) / 2 - np.log2(1 / 4)
    assert information_gain(MAP, flat, x, y) == pytest.approx(expected)
    # Densities are taken as they are, not from their minimum up.
    raised = np.array([[1.0, 3.0], [2.0, 2.0]])
    assert information_gain(MAP, raised, X, Y) == pytest.approx(np.log2((5 / 8) / (2 / 8)))


def test_cc_sim_kl_by_hand() -> None:
    other = np.array([[0.0, 2.0], [4.0, 10.0]])
    assert cc(MAP, other) == pytest.approx(1)
    assert cc(MAP, -MAP) == pytest.approx(-1)
    assert cc(MAP, np.ones((2, 2))) == 0
    assert sim(MAP, other) == pytest.approx(1)
    flat = np.array([[0.0, 1.0], [1.0, 1.0]])
    # densities 0, 1/8, 2/8, 5/8 and 0, 1/3, 1/3, 1/3
    assert sim(MAP, flat) == pytest.approx(1 / 8 + 2 / 8 + 1 / 3)
    assert kl(MAP, other) == pytest.approx(0, abs=1e-12)
    expected = sum(np.log((1 / 3) / p) / 3 for p in (1 / 8, 2 / 8, 5 / 8))
    assert kl(MAP, flat) == pytest.approx(expected)


def test_a_minimum_is_subtracted_only_if_it_is_negative() -> None:
    # A map that is 31 somewhere and 32 elsewhere is nearly uniform; SIM alone stretches it.
    raised, q = np.array([[31.0, 31.0], [31.0, 32.0]]), np.array([[0.0, 0.0], [0.0, 1.0]])
    assert kl(raised, q) == pytest.approx(np.log(125 / 32))
    gain = information_gain(raised, np.ones((2, 2)), X, Y)
    assert gain == pytest.approx(np.log2((32 / 125) * 4))
    assert sim(raised, q) == pytest.approx(1)
    assert kl(MAP - 7, q) == pytest.approx(kl(MAP, q))
    assert density(np.array([-1.0, 0.0, 1.0])).tolist() == [0, 1 / 3, 2 / 3]


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), min_size=1, max_size=9),
    st.floats(0.3, 9),
)
def test_blurred_fixations_are_a_filtered_image_of_counts(places, sigma) -> None:
    x, y = np.array(places).T
    counts = np.zeros((41, 61))
    np.add.at(counts, (y, x), 1)
    expected = gaussian_filter(counts, sigma, mode="constant")
    np.testing.assert_allclose(blurred(x, y, (41, 61), sigma), expected, atol=1e-12)


def test_information_gain_by_hand() -> None:
    # log2 of 5/8 over 1/4
    assert information_gain(MAP, np.ones((2, 2)), X, Y) == pytest.approx(np.log2(2.5))
    assert information_gain(MAP, MAP, X, Y) == pytest.approx(0)


def test_the_empirical_map_is_blurred_by_one_degree() -> None:
    found = empirical(np.array([30]), np.array([20]), (41, 61), px_per_degree=4.0)
    assert found.shape == (41, 61)
    assert found.sum() == pytest.approx(1)
    # A Gaussian falls to exp(-1/2) at one standard deviation, to exp(-2) at two.
    peak = found[20, 30]
    assert peak == found.max() == pytest.approx(1 / (2 * np.pi * 4**2), rel=0.01)
    for y, x in ((20, 34), (24, 30), (20, 26), (16, 30)):
        assert found[y, x] / peak == pytest.approx(np.exp(-0.5))
        assert found[2 * y - 20, 2 * x - 30] / peak == pytest.approx(np.exp(-2))
    # Two fixations on one pixel count twice; what falls off the edge is lost.
    twice = empirical(np.array([30, 30, 0]), np.array([20, 20, 0]), (41, 61), 4.0)
    assert twice[20, 30] == pytest.approx(2 * peak)
    assert 2.2 < twice.sum() < 2.4


@given(
    st.lists(st.integers(0, 20), min_size=12, max_size=12),
    st.floats(0.1, 10),
    st.floats(-5, 5),
)
def test_what_only_ranks_or_standardises_is_affine_invariant(values, scale, shift) -> None:
    image = np.array(values, dtype=float).reshape(3, 4)
    x, y = np.array([0, 3, 1]), np.array([2, 0, 1])
    other = scale * image + shift
    assert nss(other, x, y) == pytest.approx(nss(image, x, y), abs=1e-9)
    assert auc_judd(scale * image, x, y) == auc_judd(image, x, y)
    empirical = np.arange(12.0).reshape(3, 4)
    assert cc(other, empirical) == pytest.approx(cc(image, empirical), abs=1e-9)
    assert sim(other, empirical) == pytest.approx(sim(image, empirical), abs=1e-9)
