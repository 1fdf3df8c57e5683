"""Category statistics by hand, and against obvious loops."""

import numpy as np
import pandas as pd
import pytest
from counting import Counting

from salprobe.probe.records.columns import LayerUnits
from salprobe.probe.statistics import selectivity
from salprobe.probe.statistics.clusters import mean_interval
from salprobe.probe.statistics.cross_fit import PARTS, SPLITS
from salprobe.probe.statistics.selectivity import groups, summarise, top_units


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
    regions = regions_of([1, 1, 2, 3, 3], ["a", "b", "a", "a", "a"], [1, 1, 1, 1, 0])
    scores = np.array([[1, 2, 0], [9, 9, 9], [3, 2, 1], [2, 2, 5], [np.nan] * 3], dtype=np.float32)
    units, summary = summarise(scores, regions, [LayerUnits("x", slice(0, 3))], ["a", "b", "c"])
    a = units[units["category"] == "a"]
    assert a["mean"].tolist() == [2, 2, 2]
    assert a["sd"].tolist() == pytest.approx([1, 0, 7**0.5])
    assert a["n"].tolist() == [3, 3, 3]  # the region without fixations is not counted
    # Only image 1 has a region of another category.
    assert a["contrast"].tolist() == [-8, -7, -9]
    row = summary.set_index("category")
    assert row.loc["a", "top10_mean"] == 2
    assert row.loc["a", "above_threshold"] == 3
    # Without image 1: 2.5, 2, 3: units 2 and 0, on image 1: 0.5. Without 2: 1.5, 2, 2.5: units 2
    # and 1, on image 2: 1.5. Without 3: 2, 2, 0.5: units 0 and 1, on image 3: 2.
    assert row.loc["a", "top10_crossval"] == pytest.approx(4 / 3)
    assert row.loc["a", "contrast"] == pytest.approx((-9 - 8) / 2)
    # So few stimuli have no interval, and one has nothing to choose on.
    assert row[["top10_low", "top10_high", "contrast_low"]].isna().all(axis=None)
    assert row.loc["b", "top10_mean"] == 9
    assert np.isnan(row.loc["b", "top10_crossval"])
    # No region is c.
    assert np.isnan(row.loc["c", "top10_mean"])
    assert row.loc["c", "above_threshold"] == 0
    assert row["selective"].isna().all()  # so few stimuli are not tested
    assert units.loc[units["category"] == "c", ["mean", "contrast"]].isna().all(axis=None)


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
    image, names = regions["image_id"].to_numpy(), regions["category"].to_numpy()
    for layer in layers:
        for category, other in ("ab", "ba"):
            rows = [i for i in range(150) if names[i] == category]
            columns = range(layer.columns.start, layer.columns.stop)
            mean = [float(np.mean([scores[i, u].astype(float) for i in rows])) for u in columns]
            ours = units[(units["layer"] == layer.name) & (units["category"] == category)]
            np.testing.assert_allclose(ours["mean"], mean, rtol=1e-12, atol=1e-14)
            line = summary[(summary["layer"] == layer.name) & (summary["category"] == category)]
            top = sorted(mean, reverse=True)[:10]
            assert line["top10_mean"].item() == pytest.approx(np.mean(top))
            assert line["above_threshold"].item() == sum(value > 1.5 for value in mean)
            beside = {
                i: [j for j in range(150) if image[j] == image[i] and names[j] == other]
                for i in rows
            }
            kept = [i for i in rows if beside[i]]
            assert 5 < len(kept) < len(rows)
            for unit in (0, 17, 39):
                column = scores[:, columns[unit]].astype(float)
                contrast = np.array([column[i] - column[beside[i]].mean() for i in kept])
                for name, values, of in (
                    ("mean", column[rows], image[rows]),
                    ("contrast", contrast, image[kept]),
                ):
                    expected = mean_interval(values, of)
                    row = ours.iloc[unit]
                    found = [row[name], row[f"{name}_low"], row[f"{name}_high"]]
                    assert found == pytest.approx(list(expected), abs=1e-12)


def test_noise_flatters_those_chosen_on_it_and_nothing_is_selective(random_run) -> None:
    scores, regions, layers = random_run
    _, summary = summarise(scores, regions, layers[:1], ["a", "b"])
    assert (summary["top10_mean"] > 0.2).all()  # pure noise
    assert (summary["top10_crossval"].abs() < 0.1).all()
    assert (summary["contrast"].abs() < 0.2).all()
    assert (summary["selective"] == 0).all()


def test_a_unit_that_likes_all_regions_is_not_selective_and_one_that_likes_a_is() -> None:
    rng = np.random.default_rng(4)
    images = np.repeat(np.arange(30), 2).tolist()
    regions = regions_of(images, ["a", "b"] * 30)
    scores = rng.normal(size=(60, 20)).astype(np.float32)
    scores[:, 3] += 3  # anything people look at
    scores[::2, 7] += 3  # a only
    units, summary = summarise(scores, regions, [LayerUnits("x", slice(0, 20))], ["a", "b"])
    above = units[units["mean"] > 1.5]
    assert above[["unit", "category"]].to_numpy().tolist() == [[3, "a"], [7, "a"], [3, "b"]]
    selective = units[units["contrast_q"] < 0.05]
    assert selective[["unit", "category"]].to_numpy().tolist() == [[7, "a"]]
    assert summary["selective"].tolist() == [1, 0]


def test_controls_are_means_over_the_categorys_regions(random_run) -> None:
    scores, regions, layers = random_run
    regions = regions.assign(ceiling=np.where(regions.index % 2, 2.0, np.nan))
    shuffled = scores / 4
    shuffled[::7] = np.nan  # no region of the same category elsewhere
    units, summary = summarise(scores, regions, layers[1:], ["a"], shuffled=shuffled)
    rows = np.flatnonzero(regions["category"] == "a")
    expected = np.nanmean(shuffled[rows, 260:].astype(float), axis=0)
    np.testing.assert_allclose(units["shuffled"], expected, rtol=1e-6)
    best = top_units(units["mean"].to_numpy())
    assert summary["shuffled"].item() == pytest.approx(expected[best].mean())
    assert summary["ceiling"].item() == 2
    _, without = summarise(scores, regions.drop(columns="ceiling"), layers[1:], ["a"])
    assert without[["shuffled", "ceiling"]].isna().all(axis=None)


def test_a_layer_of_few_units_takes_all_of_them() -> None:
    scores = np.array([[1, 2, 6]], dtype=np.float32)
    _, summary = summarise(scores, regions_of([1], ["a"]), [LayerUnits("x", slice(0, 3))], ["a"])
    assert summary["top10_mean"].item() == 3


def test_tables_have_the_columns_and_types_that_files_hold(random_run) -> None:
    scores, regions, layers = random_run
    heard = Counting()
    units, summary = summarise(scores, regions, layers, ["a", "b"], progress=heard)
    assert (heard.tasks, heard.steps) == ([("statistics", 2, 0)], [2])
    assert list(units.columns) == [
        *("layer", "unit", "category", "mean", "sd", "n", "mean_low", "mean_high"),
        *("contrast", "contrast_low", "contrast_high", "contrast_q", "shuffled"),
    ]
    assert list(units.index) == list(range(2 * 300))
    assert (units["unit"].dtype, units["n"].dtype) == (np.int32, np.int32)
    assert units["unit"].tolist() == [*range(260), *range(260), *range(40), *range(40)]
    assert list(summary.columns) == [
        *("layer", "category", "top10_mean", "top10_low", "top10_high"),
        *("top10_crossval", "above_threshold", "contrast", "contrast_low", "contrast_high"),
        *("selective", "shuffled", "ceiling"),
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


def test_cross_fitted_means_are_those_of_an_obvious_loop(random_run) -> None:
    scores, regions, layers = random_run
    _, summary = summarise(scores, regions, layers, ["a"], seed=3)
    group = groups(regions, ["a"], 3)["a"]
    values = scores[group.rows][:, 260:].astype(float)
    means = []
    for split in range(SPLITS):
        for part in range(PARTS):
            tested = group.folds.part[split] == part
            best = sorted(range(40), key=lambda unit: -values[~tested, unit].mean())[:10]
            means.append(values[tested][:, best].mean())
    assert summary["top10_crossval"].tolist()[1] == pytest.approx(np.mean(means), abs=1e-12)


def test_a_unit_just_at_the_threshold_is_not_above_it() -> None:
    regions = regions_of([1], ["a"])
    scores = np.array([[1.5, 1.625, 9]], dtype=np.float32)
    units, summary = summarise(scores, regions, [LayerUnits("x", slice(0, 3))], ["a"])
    assert summary["above_threshold"].tolist() == [2]
    assert units["sd"].isna().all()  # of one region
    nobody = groups(regions_of([1, 2], ["a", "a"], [0, 1]), ["a"], 0)["a"]
    assert nobody.rows.tolist() == [1] and nobody.folds.part.shape == (0, 1)


def test_the_highest_units_come_first_and_ties_by_index() -> None:
    mean = np.zeros(400)
    mean[[7, 300, 31]] = 1, 2, 2
    assert top_units(mean).tolist() == [31, 300, 7, 0, 1, 2, 3, 4, 5, 6]
