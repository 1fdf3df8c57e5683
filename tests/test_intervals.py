"""That a printed interval is one of 95 %: each against all resamples there are, one by one."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salprobe.annotate.labels.agree import agree
from salprobe.annotate.labels.tables import agreement_record
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.sources.load import load_dataset
from salprobe.probe.analysis.inside_outside import MEASURES, output
from salprobe.probe.experiments.sweep import sweep
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.load import Backbone
from salprobe.probe.runs.probing import probe
from salprobe.probe.saliency import benchmark
from salprobe.probe.training.recipe import Recipe


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
    table = pd.DataFrame(rng.normal(size=(6, 8)), columns=list(benchmark.MEASURES))
    counts = all_resamples(6)
    for row in benchmark.summarise(table.assign(model="a", kind="map")).to_dict("records"):
        values = table[row["measure"]].to_numpy()
        resampled = counts @ values / 6
        assert row["mean"] == pytest.approx(values.mean())
        assert_95(row["low"], row["high"], resampled)
    assert_it_tells(lambda low, high: assert_95(low, high, resampled), resampled)


def test_sweep(gaze_world: Path, tmp_path: Path) -> None:
    dataset = load_dataset(str(gaze_world))
    recipe = Recipe(epochs=1, rate=0.05, backbone_rate=0.01)
    found = sweep(
        *(dataset, recipe, [0, 2], tmp_path / "s", gaze_world / "masks.json"),
        model=Backbone("nets:small", input_size=(36, 48)),
        execution=Execution(batch_size=4),
    )
    before, after = (
        pd.read_csv(tmp_path / "s" / f"tune-{name}" / "test.csv")["nss"].to_numpy() for name in "02"
    )
    counts = all_resamples(len(before))
    row = found.prediction.set_index("tune").loc["2"]
    for name, values in (("nss", after), ("change", after - before)):
        resampled = counts @ values / len(values)
        assert_95(row[f"{name}_low"], row[f"{name}_high"], resampled)
        assert_it_tells(lambda low, high, drawn=resampled: assert_95(low, high, drawn), resampled)


def test_output(small_world: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    maps = tmp_path / "maps"
    maps.mkdir()
    for path in small_world.glob("*.png"):
        np.save(maps / f"{path.stem}.npy", rng.random((72, 96)))
    masks = small_world / "masks.json"
    run = probe(masks, root=small_world, model="nets:colours", out=tmp_path / "run")
    found = output(run, maps=maps)
    counts = all_resamples(6)
    regions = found.regions.dropna()
    for row in found.categories.to_dict("records"):
        part = regions[regions["category"] == row["category"]]
        held = counts[:, part["image_id"] - 1]
        held = held[held.any(axis=1)]
        for name in MEASURES:
            resampled = held @ part[name] / held.sum(axis=1)
            assert_95(row[f"{name}_low"], row[f"{name}_high"], resampled)
            if len(part) > 3:  # of three, 3 % of the resamples are one region alone
                assert_it_tells(lambda a, b, drawn=resampled: assert_95(a, b, drawn), resampled)


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
