"""That a printed interval is of the values beside it, and one of 95 %."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salprobe.annotate.labels.agree import agree
from salprobe.annotate.labels.tables import agreement_record
from salprobe.datasets.interval import Interval
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.probe.analysis.inside_outside import MEASURES, output
from salprobe.probe.runs.probing import probe
from salprobe.probe.saliency import benchmark
from salprobe.probe.statistics.clusters import mean_interval


def all_resamples(n: int) -> np.ndarray:
    """Return how often each of n stimuli is in each of the nⁿ resamples, shape (nⁿ, n)."""
    drawn = np.array(list(product(range(n), repeat=n)))
    return (drawn[:, :, None] == np.arange(n)).sum(axis=1)


def assert_95(low: float, high: float, resampled: np.ndarray) -> None:
    """Assert bounds that leave 2.5 % on each side; 1 % to 4 % is what chance makes of it."""
    lowest, least, most, highest = np.quantile(resampled, [0.01, 0.04, 0.96, 0.99])
    slack = 1e-6 * (highest - lowest)
    assert lowest - slack <= low <= least + slack
    assert most - slack <= high <= highest + slack


def assert_it_tells(check: Callable[[float, float], None], resampled: np.ndarray) -> None:
    """Assert that intervals of 50 % and 90 % would not pass."""
    for tail in (0.25, 0.05):
        with pytest.raises(AssertionError):
            check(*np.quantile(resampled, [tail, 1 - tail]))


def test_the_benchmark_of_saliency_models() -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.normal(size=(12, 8)), columns=list(benchmark.MEASURES))
    for row in benchmark.summarise(table.assign(model="a", kind="map")).to_dict("records"):
        expected = mean_interval(table[row["measure"]].to_numpy())
        assert [row[name] for name in ("mean", "low", "high")] == list(expected)


def test_output(gaze_world: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    maps = tmp_path / "maps"
    maps.mkdir()
    for path in gaze_world.glob("*.png"):
        np.save(maps / f"{path.stem}.npy", rng.random((72, 96)))
    gaze = gaze_world / "fixations.csv"
    run = probe(
        gaze_world / "masks.json",
        root=gaze_world,
        fixations=gaze,
        model="gabor",
        out=tmp_path / "r",
    )
    found = output(run, maps=maps)
    regions = found.regions.dropna()
    summary = run.summary.set_index(["layer", "category"])
    known = 0
    for row in found.categories.to_dict("records"):
        part = regions[regions["category"] == row["category"]]
        for name in MEASURES[1:]:
            expected = mean_interval(part[name].to_numpy(), part["image_id"].to_numpy())
            assert Interval.of(row, name) == pytest.approx(expected, nan_ok=True)
        inner = summary.loc[(found.layer, row["category"])]
        expected = [inner[f"top10_{name}"] for name in ("crossval", "low", "high")]
        assert Interval.of(row, "inner") == pytest.approx(expected, nan_ok=True)
        known += np.isfinite(row["inner_low"])
    assert known == 3


def test_agree(small_world: Path) -> None:
    content = MaskSet.read(small_world / "masks.json").to_dict()
    rng = np.random.default_rng(29)
    given = rng.integers(5, 7, 12)
    other = np.where(rng.random(12) < 0.4, 11 - given, given)
    files = []
    for categories in (given, other):
        for entry, category in zip(content["annotations"], categories.tolist(), strict=True):
            entry["category_id"] = category
        files.append(MaskSet.from_dict(content))
    # Cohen's kappa from each resample's 2×2 table.
    tables = np.zeros((6, 2, 2))
    np.add.at(tables, (np.arange(12) // 2, given - 5, other - 5), 1)  # two regions an image
    shares = np.einsum("ri,ijk->rjk", all_resamples(6), tables) / 12
    same = shares[:, 0, 0] + shares[:, 1, 1]
    chance = (shares.sum(axis=2) * shares.sum(axis=1)).sum(axis=1)
    resampled = (same - chance) / (1 - chance)
    found = agreement_record(agree(files))
    assert_95(found["low"], found["high"], resampled)
    assert_it_tells(lambda low, high: assert_95(low, high, resampled), resampled)
