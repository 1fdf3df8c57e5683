"""Inner saliency of noise does not differ between categories; real differences are found."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f_oneway, kruskal

from salprobe.probe.analysis.inner_saliency import halved, inner_saliency
from salprobe.probe.statistics.category_tests import CategoryTests, combined, two_way_anova
from salprobe.probe.statistics.cross_fit import PARTS, SPLITS
from salprobe.probe.statistics.selectivity import groups, top_units

NAMES = ["a", "b", "c", "d"]


def run_of(seed: int, better: float = 0.0):
    """Return regions of four categories of different sizes, and the scores of 200 units."""
    rng = np.random.default_rng(seed)
    category = np.repeat(NAMES, [90, 40, 40, 20])
    regions = pd.DataFrame(
        {"image_id": rng.permutation(190) // 2, "category": category, "n_fixations": 5}
    )
    scores = rng.normal(size=(190, 200)).astype(np.float32)
    scores[category == "b", :10] += better
    return regions, scores


def p_values(seed: int, better: float = 0.0) -> tuple[float, float]:
    """Return twice the median p of ANOVA and Kruskal–Wallis on halves."""
    regions, scores = run_of(seed, better)
    category = regions["category"].to_numpy()
    found = []
    for rows, inner in halved(scores, groups(regions, NAMES, 0), seed):
        samples = [inner[category[rows] == name] for name in NAMES]
        found.append((f_oneway(*samples).pvalue, kruskal(*samples).pvalue))
    return tuple(2 * np.median(found, axis=0))  # pyright: ignore[reportReturnType]


def test_noise_is_not_significant_and_was_when_chosen_and_tested_on_the_same() -> None:
    """make coverage has the long form."""
    p = np.array([p_values(seed) for seed in range(60)])
    assert ((p < 0.05).mean(axis=0) <= 0.07).all()
    circular = []
    for seed in range(10):
        regions, scores = run_of(seed)
        samples = []
        for name in NAMES:
            own = scores[(regions["category"] == name).to_numpy()]
            samples.append(own[:, top_units(own.mean(axis=0))].mean(axis=1))
        circular.append(f_oneway(*samples).pvalue)
    assert max(circular) < 0.05


def test_a_real_difference_is_significant() -> None:
    assert max(p_values(0, better=1.0)) < 1e-4


def test_regions_are_scored_by_units_that_others_chose() -> None:
    regions, scores = run_of(3)
    by_category = groups(regions, NAMES, 0)
    found, categories = inner_saliency(scores, by_category)
    for name, group in by_category.items():
        values = scores[group.rows].astype(float)
        expected = np.zeros(len(values))
        for split in range(SPLITS):
            for part in range(PARTS):
                held = group.folds.part[split] == part
                best = top_units(values[~held].mean(axis=0))
                expected[held] += values[held][:, best].mean(axis=1) / SPLITS
        np.testing.assert_allclose(found[group.rows], expected, rtol=1e-6)
        assert abs(categories[name].value - expected.mean()) < 0.05  # parts weigh the same


def test_halves_share_no_stimulus_and_come_both_ways() -> None:
    regions, scores = run_of(1)
    image = regions["image_id"].to_numpy()
    results = list(halved(scores, groups(regions, NAMES, 0), 0))
    for (rows, inner), (others, _) in zip(results[::2], results[1::2], strict=True):
        assert not set(image[rows]) & set(image[others])
        assert set(rows) | set(others) == set(range(190))
        assert len(inner) == len(rows)


def test_a_category_on_one_stimulus_cannot_be_halved() -> None:
    regions = pd.DataFrame({"image_id": [1, 1, 2, 2], "category": [*"aabb"], "n_fixations": 5})
    assert list(halved(np.ones((4, 12), np.float32), groups(regions, NAMES, 0), 0)) == []


def test_splits_are_combined_by_twice_the_median() -> None:
    def tests(p: float, difference: float) -> CategoryTests:
        overall = pd.DataFrame([("ANOVA", 10 * p, p)], columns=["test", "statistic", "p"])
        names = ["first", "second", "difference", "low", "high", "p_tukey", "p_dunn"]
        return CategoryTests(
            overall, pd.DataFrame([("a", "b", difference, 0, 9, p, 0.9)], columns=names)
        )

    found = combined([tests(0.01, 1.0), tests(0.2, 2.0), tests(0.03, 9.0)])
    assert found.overall.to_numpy().tolist() == [["ANOVA", 0.3, pytest.approx(0.06)]]
    pair = found.pairs.iloc[0]
    assert (pair["difference"], pair["p_tukey"], pair["p_dunn"]) == (2, pytest.approx(0.06), 1)
    assert np.isnan(pair["low"]) and np.isnan(pair["high"])


def test_the_two_way_anova_by_sums_of_squares() -> None:
    rng = np.random.default_rng(0)
    category = np.repeat(["a", "b"], 10)
    values = {"inner": rng.normal(size=20), "output": rng.normal(size=20) + (category == "b")}
    lonely = {name: np.append(part, 99.0) for name, part in values.items()}
    found = two_way_anova(lonely, np.append(category, "alone")).set_index("factor")
    cells = np.array([[v[category == c] for c in "ab"] for v in values.values()])  # (2, 2, 10)
    grand, cell = cells.mean(), cells.mean(axis=2)
    rows, columns = cells.mean(axis=(1, 2)), cells.mean(axis=(0, 2))
    squares = {
        "measurement": 20 * ((rows - grand) ** 2).sum(),
        "category": 20 * ((columns - grand) ** 2).sum(),
        "measurement × category": 10 * ((cell - rows[:, None] - columns[None] + grand) ** 2).sum(),
    }
    error = ((cells - cell[..., None]) ** 2).sum() / 36
    for factor, square in squares.items():
        assert found.loc[factor, "statistic"] == pytest.approx(square / error)
