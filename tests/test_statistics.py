"""Category statistics by hand, and against obvious loops."""

import numpy as np
import pandas as pd
import pytest
from counting import Counting

from salprobe.probe.records.columns import LayerUnits
from salprobe.probe.statistics import selectivity
from salprobe.probe.statistics.bootstrap import Resamples
from salprobe.probe.statistics.selectivity import (
    HALVINGS,
    groups,
    summarise,
    top_series,
    top_units,
)


def regions_of(images: list[int], categories: list[str], n_fixations: list[int] | None = None):
    return pd.DataFrame(
        {
            "annotation_id": range(1, len(images) + 1),
            "image_id": images,
            "category": categories,
            "n_fixations": n_fixations or [3] * len(images),
        }
    )


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectivity, "TOP", 2)
    regions = regions_of([1, 1, 2, 2], ["a", "b", "a", "a"], [1, 1, 1, 0])
    scores = np.array([[1, 2, 0], [9, 9, 9], [3, 2, 1], [np.nan] * 3], dtype=np.float32)
    units, summary = summarise(scores, regions, [LayerUnits("x", slice(0, 3))], ["a", "b", "c"])
    a = units[units["category"] == "a"]
    assert a["mean"].tolist() == [2, 2, 0.5]
    assert a["sd"].tolist() == pytest.approx([2**0.5, 0, 0.5**0.5])
    assert a["n"].tolist() == [2, 2, 2]  # the region without fixations is not counted
    row = summary.set_index("category")
    assert row.loc["a", "top10_mean"] == 2
    assert row.loc["a", "above_threshold"] == 2
    # Resamples of {image 1: 1.5, image 2: 2.5} have means 1.5, 2 or 2.5.
    assert (row.loc["a", "top10_low"], row.loc["a", "top10_high"]) == (1.5, 2.5)
    # Chosen on image 1: units 1, 0, scored on image 2: 2.5; on image 2: 0, 1, scored on 1: 1.5.
    assert row.loc["a", "top10_crossval"] == 2
    # One stimulus has b: a mean, but neither interval nor cross-validation.
    assert row.loc["b", "top10_mean"] == 9
    assert row.loc["b", ["top10_low", "top10_high", "top10_crossval"]].isna().all()
    # No region is c.
    assert np.isnan(row.loc["c", "top10_mean"])
    assert row.loc["c", "above_threshold"] == 0
    assert units.loc[units["category"] == "c", "mean"].isna().all()


@pytest.fixture
def random_run():
    rng = np.random.default_rng(0)
    images = np.sort(rng.integers(0, 40, 150)).tolist()
    categories = rng.choice(["a", "b", "unlabelled"], 150).tolist()
    scores = rng.normal(size=(150, 300)).astype(np.float32)
    layers = [LayerUnits("x", slice(0, 260)), LayerUnits("y", slice(260, 300))]
    return scores, regions_of(images, categories), layers


def test_equals_an_obvious_loop(random_run) -> None:
    scores, regions, layers = random_run
    units, summary = summarise(scores, regions, layers, ["a", "b"])
    assert set(units["category"]) == {"a", "b"}  # unlabelled enters no statistic
    for layer in layers:
        for category in ("a", "b"):
            rows = [i for i in range(150) if regions["category"][i] == category]
            mean = [
                float(np.mean([scores[i, u].astype(float) for i in rows]))
                for u in range(layer.columns.start, layer.columns.stop)
            ]
            ours = units[(units["layer"] == layer.name) & (units["category"] == category)]
            np.testing.assert_allclose(ours["mean"], mean, rtol=1e-12, atol=1e-14)
            line = summary[(summary["layer"] == layer.name) & (summary["category"] == category)]
            top = sorted(mean, reverse=True)[:10]
            assert line["top10_mean"].item() == pytest.approx(np.mean(top))
            assert line["above_threshold"].item() == sum(value > 1.5 for value in mean)


def test_the_interval_is_the_bootstraps(random_run) -> None:
    scores, regions, layers = random_run
    _, summary = summarise(scores, regions, layers[1:], ["a"], seed=7)
    rows = np.flatnonzero(regions["category"] == "a")
    best = np.argsort(-scores[rows][:, 260:].astype(float).mean(0), kind="stable")[:10]
    means = []
    images = sorted(set(regions["image_id"]))
    for weights in Resamples.draw(len(images), 7).stimuli:
        drawn = [
            scores[row, 260 + best].astype(float).mean()
            for row in rows
            for _ in range(int(weights[images.index(regions["image_id"][row])]))
        ]
        means.append(np.mean(drawn))
    expected = np.percentile(means, [2.5, 97.5])
    np.testing.assert_allclose(summary[["top10_low", "top10_high"]].iloc[0], expected, rtol=1e-9)


def test_choosing_units_on_noise_flatters_and_cross_validation_does_not(random_run) -> None:
    scores, regions, layers = random_run
    _, summary = summarise(scores, regions, layers[:1], ["a", "b"])
    assert (summary["top10_mean"] > 0.2).all()  # pure noise
    assert (summary["top10_crossval"].abs() < 0.08).all()


def test_halves_split_stimuli_not_regions(random_run) -> None:
    _, regions, _ = random_run
    group = groups(regions, ["a"], 0)["a"]
    assert len(group.halves) == HALVINGS
    for half in group.halves:
        inside, outside = set(group.stimulus[half]), set(group.stimulus[~half])
        assert not inside & outside
        assert abs(len(inside) - len(outside)) <= 1


def test_a_layer_of_few_units_takes_all_of_them() -> None:
    scores = np.array([[1, 2, 6]], dtype=np.float32)
    _, summary = summarise(scores, regions_of([1], ["a"]), [LayerUnits("x", slice(0, 3))], ["a"])
    assert summary["top10_mean"].item() == 3


def test_tables_have_the_columns_and_types_that_files_hold(random_run) -> None:
    scores, regions, layers = random_run
    heard = Counting()
    units, summary = summarise(scores, regions, layers, ["a", "b"], progress=heard)
    assert (heard.tasks, heard.steps) == ([("statistics", 2, 0)], [2])
    assert list(units.columns) == ["layer", "unit", "category", "mean", "sd", "n"]
    assert list(units.index) == list(range(2 * 300))
    assert (units["unit"].dtype, units["n"].dtype) == (np.int32, np.int32)
    assert units["unit"].tolist() == [*range(260), *range(260), *range(40), *range(40)]
    assert list(summary.columns) == [
        *("layer", "category", "top10_mean", "top10_low", "top10_high"),
        *("top10_crossval", "above_threshold"),
    ]
    assert summary[["layer", "category"]].to_numpy().tolist() == [
        *(["x", "a"], ["x", "b"], ["y", "a"], ["y", "b"])
    ]


def test_a_seed_draws_the_same_again_and_is_0(random_run) -> None:
    scores, regions, layers = random_run
    given = (scores, regions, layers[1:], ["a"])
    by_default, zero, again, other = (
        summarise(*given, **seed)[1] for seed in ({}, {"seed": 0}, {"seed": 0}, {"seed": 1})
    )
    pd.testing.assert_frame_equal(by_default, zero)
    pd.testing.assert_frame_equal(zero, again)
    assert zero["top10_low"].item() != other["top10_low"].item()
    assert zero["top10_crossval"].item() != other["top10_crossval"].item()
    first, second, third = (groups(regions, ["a"], seed)["a"].halves for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_cross_validated_means_are_those_of_an_obvious_loop(random_run) -> None:
    scores, regions, layers = random_run
    _, summary = summarise(scores, regions, layers, ["a"], seed=3)
    group = groups(regions, ["a"], 3)["a"]
    values = scores[group.rows][:, 260:].astype(float)
    means = []
    for half in group.halves:
        for chosen, tested in ((half, ~half), (~half, half)):
            best = sorted(range(40), key=lambda unit: -values[chosen, unit].mean())[:10]
            means.append(values[tested][:, best].mean())
    assert summary["top10_crossval"].tolist()[1] == pytest.approx(np.mean(means), abs=1e-12)


def test_a_unit_just_at_the_threshold_is_not_above_it() -> None:
    regions = regions_of([1], ["a"])
    scores = np.array([[1.5, 1.625, 9]], dtype=np.float32)
    units, summary = summarise(scores, regions, [LayerUnits("x", slice(0, 3))], ["a"])
    assert summary["above_threshold"].tolist() == [2]
    assert units["sd"].isna().all()  # of one region
    nobody = groups(regions_of([1, 2], ["a", "a"], [0, 1]), ["a"], 0)["a"]
    assert nobody.rows.tolist() == [1] and nobody.halves.shape == (0, 1)


def test_the_highest_units_come_first_and_ties_by_index() -> None:
    mean = np.zeros(400)
    mean[[7, 300, 31]] = 1, 2, 2
    assert top_units(mean).tolist() == [31, 300, 7, 0, 1, 2, 3, 4, 5, 6]
    scores = np.array([[0, 1, 2**24], [0, 1, 1]], dtype=np.float32)
    group = groups(regions_of([1, 2], ["a", "a"]), ["a"], 0)["a"]
    series = top_series(scores, LayerUnits("x", slice(1, 3)), group, np.array([0, 1]))
    assert series.tolist() == [(2**24 + 1) / 2, 1]  # float32 would have lost the 1
