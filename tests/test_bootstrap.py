"""The one bootstrap: by hand, by loops, by a peer's implementation, and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap as peer

from salprobe.datasets.interval import Interval
from salprobe.probe.statistics.bootstrap import RESAMPLES, Resamples, mean_interval, percentiles


def test_an_interval_knows_its_width_and_its_columns() -> None:
    interval = Interval(2.0, 1.5, 3.0)
    assert interval.half_width == 0.75
    assert interval.excludes_zero
    assert not Interval(0.2, -0.1, 0.4).excludes_zero
    assert not Interval.none().excludes_zero
    assert interval.columns("nss") == {"nss": 2.0, "nss_low": 1.5, "nss_high": 3.0}
    assert interval.columns("nss", prefix=False) == {"nss": 2.0, "low": 1.5, "high": 3.0}
    for prefix in (True, False):
        columns = interval.columns("nss", prefix=prefix)
        assert Interval.of(columns, "nss", prefix=prefix) == interval


def test_two_stimuli_by_hand() -> None:
    # Resamples of the values 1 and 3: means 1 (a quarter), 2 (half), 3 (a quarter).
    interval = mean_interval(np.array([1.0, 3.0]), seed=0)
    assert interval == (2.0, 1.0, 3.0)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_stimuli_have_no_interval(n: int) -> None:
    interval = mean_interval(np.ones(n), seed=0)
    assert np.isnan([interval.low, interval.high]).all()
    assert np.isnan(interval.value) if n == 0 else interval.value == 1
    many = Resamples.draw(1, 0).interval(np.ones((2, 3)), np.array([0, 0]))
    assert many.value.tolist() == [1, 1, 1]
    assert np.isnan(many.low).all() and np.isnan(many.high).all()


def test_means_are_those_of_an_obvious_loop() -> None:
    rng = np.random.default_rng(1)
    stimulus, subject = rng.integers(0, 6, 40), rng.integers(0, 4, 40)
    values = rng.normal(size=40)
    alone, crossed = Resamples.draw(6, 3), Resamples.draw(6, 3, n_subjects=4)
    assert crossed.subjects is not None
    for b in range(0, RESAMPLES, 200):
        times = [int(alone.stimuli[b, k]) for k in stimulus]
        drawn = [value for value, n in zip(values, times, strict=True) for _ in range(n)]
        assert alone.means(values, stimulus)[b] == pytest.approx(np.mean(drawn))
        times = [
            int(crossed.stimuli[b, k] * crossed.subjects[b, j])
            for k, j in zip(stimulus, subject, strict=True)
        ]
        drawn = [value for value, n in zip(values, times, strict=True) for _ in range(n)]
        assert crossed.means(values, stimulus, subject)[b] == pytest.approx(np.mean(drawn))


def test_every_resample_has_as_many_stimuli_and_subjects_as_there_are() -> None:
    drawn = Resamples.draw(7, 0, n_subjects=3)
    assert drawn.subjects is not None
    assert drawn.stimuli.shape == (RESAMPLES, 7) and (drawn.stimuli.sum(axis=1) == 7).all()
    assert drawn.subjects.shape == (RESAMPLES, 3) and (drawn.subjects.sum(axis=1) == 3).all()
    # Independent of each other, and every stimulus as likely.
    assert abs(np.corrcoef(drawn.stimuli[:, 0], drawn.subjects[:, 0])[0, 1]) < 0.1
    np.testing.assert_allclose(drawn.stimuli.mean(axis=0), 1, atol=0.1)


def test_subjects_are_drawn_and_given_or_neither() -> None:
    with pytest.raises(ValueError, match="or neither"):
        Resamples.draw(3, 0).means(np.ones(3), np.arange(3), np.zeros(3, int))
    with pytest.raises(ValueError, match="or neither"):
        Resamples.draw(3, 0, n_subjects=2).means(np.ones(3), np.arange(3))


def test_many_units_at_once_are_each_alone() -> None:
    rng = np.random.default_rng(0)
    stimulus, scores = rng.integers(0, 9, 40), rng.normal(size=(40, 5))
    resamples = Resamples.draw(9, 0)
    together = resamples.interval(scores, stimulus)
    for k in range(5):
        alone = resamples.interval(scores[:, k], stimulus)
        assert tuple(one[k] for one in together) == pytest.approx(alone)


def test_resamples_without_the_category_do_not_count() -> None:
    stimulus = np.array([0, 1])  # of ten: many resamples hold neither
    resamples = Resamples.draw(10, 0)
    drawn = resamples.means(np.array([1.0, 3.0]), stimulus)
    assert np.isnan(drawn).any()
    assert resamples.interval(np.array([1.0, 3.0]), stimulus) == (2.0, 1.0, 3.0)


def test_agrees_with_scipy() -> None:
    values = np.random.default_rng(4).exponential(size=60)
    theirs = peer(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    ours = mean_interval(values, seed=0)
    assert ours[1:] == pytest.approx((theirs.low, theirs.high), abs=0.03)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.floats(-10, 10))
def test_moving_the_values_moves_the_interval(values: list[float], by: float) -> None:
    here, there = (mean_interval(np.array(values) + shift, seed=0) for shift in (0, by))
    assert there == pytest.approx(tuple(one + by for one in here), abs=1e-6)
    assert here.low - 1e-9 <= here.value <= here.high + 1e-9


def covered(truth: float, intervals: list[Interval]) -> float:
    return float(np.mean([one.low <= truth <= one.high for one in intervals]))


def test_an_interval_over_stimuli_covers_what_it_says() -> None:
    # Regions of a stimulus share a part; an interval over regions would cover about 70 %.
    rng = np.random.default_rng(5)
    stimulus = np.repeat(np.arange(40), 5)
    resamples = Resamples.draw(40, 0)
    shared = rng.normal(size=(300, 40))
    values = shared[:, stimulus] + rng.normal(size=(300, 200))
    assert 0.91 <= covered(0, [resamples.interval(one, stimulus) for one in values]) <= 0.98


def test_crossed_with_subjects_it_covers_new_subjects_too() -> None:
    rng = np.random.default_rng(6)
    stimulus, subject = (one.ravel() for one in np.indices((30, 20)))
    alone, crossed = Resamples.draw(30, 0), Resamples.draw(30, 0, n_subjects=20)
    both: tuple[list[Interval], list[Interval]] = ([], [])
    for _ in range(120):
        values = rng.normal(size=30)[stimulus] + rng.normal(size=20)[subject]
        values = values + rng.normal(size=600)
        both[0].append(alone.interval(values, stimulus))
        both[1].append(crossed.interval(values, stimulus, subject))
    assert covered(0, both[0]) < 0.86  # its truth is another: these subjects' mean
    assert covered(0, both[1]) >= 0.9


def test_percentiles_leave_out_what_is_not_known() -> None:
    drawn = np.array([np.nan, *np.linspace(0, 100, 101)])
    assert percentiles(50.0, drawn) == (50.0, 2.5, 97.5)
    assert np.isnan(percentiles(1.0, np.array([np.nan])).low)


def test_one_subject_alone_has_no_interval() -> None:
    values, stimulus = np.array([1.0, 2.0, 4.0]), np.arange(3)
    crossed = Resamples.draw(3, 0, n_subjects=2)
    alone = crossed.interval(values, stimulus, np.zeros(3, int))
    assert alone.value == values.mean() and np.isnan(alone.low) and np.isnan(alone.high)
    assert np.isfinite(crossed.interval(values, stimulus, np.array([0, 1, 0])).low)


def test_crossed_resamples_of_many_units_are_each_alone() -> None:
    rng = np.random.default_rng(2)
    stimulus, subject = rng.integers(0, 5, 30), rng.integers(0, 3, 30)
    scores = rng.normal(size=(30, 4))
    crossed = Resamples.draw(5, 0, n_subjects=3)
    together = crossed.means(scores, stimulus, subject)
    assert together.shape == (RESAMPLES, 4)
    for k in range(4):
        np.testing.assert_allclose(
            together[:, k], crossed.means(scores[:, k], stimulus, subject), atol=1e-12
        )


def test_a_seed_gives_the_same_interval_again_and_another_another() -> None:
    values = np.random.default_rng(0).normal(size=12)
    assert mean_interval(values, 3) == mean_interval(values, 3) != mean_interval(values, 4)
    drawn = Resamples.draw(4, 1, n_subjects=4)
    assert drawn.stimuli.dtype == np.float32
    assert drawn.subjects is not None and not np.array_equal(drawn.stimuli, drawn.subjects)
    np.testing.assert_array_equal(drawn.subjects, Resamples.draw(4, 1, n_subjects=4).subjects)


def test_nothing_drawn_has_no_bounds_but_its_value() -> None:
    found = percentiles(np.array([1.0, 2.0]), np.full((3, 2), np.nan))
    assert found.value.tolist() == [1, 2]
    assert np.isnan(found.low).tolist() == np.isnan(found.high).tolist() == [True, True]
    # A resample that lacks one of two does not count for the other either.
    drawn = np.array([[1.0, 5.0], [np.nan, 100.0], [1.0, 5.0]])
    assert percentiles(np.array([1.0, 5.0]), drawn).high.tolist() == [1, 5]
    assert Resamples.draw(0, 0).stimuli.shape == (RESAMPLES, 0)
