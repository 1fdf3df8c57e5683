"""Units chosen in one run and scored in another, against sums by hand."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

import salprobe as sp
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.probe.analysis.transfer import transfer
from salprobe.probe.runs.run import Run


def part(world: Path, images: set[int], name: str, tmp_path: Path, **options) -> Run:
    masks = MaskSet.read(world / "masks.json")
    path = tmp_path / f"{name}.json"
    masks.subset(images, {region.id for region in masks.annotations}).write(path)
    options = {"model": sp.Backbone("gabor", input_size=(36, 48))} | options
    return sp.probe(path, root=world, out=tmp_path / name, **options)


@pytest.fixture(scope="module")
def runs(gaze_world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    folder = tmp_path_factory.mktemp("transfer")
    first = part(gaze_world, set(range(1, 9)), "first", folder)
    return first, part(gaze_world, set(range(6, 22)), "second", folder)


def test_the_best_of_one_run_are_scored_in_the_regions_of_the_other(runs: tuple[Run, Run]) -> None:
    first, second = runs
    found = transfer(first, second)
    assert (found.stimuli, found.left_out) == (13, 3)  # 6, 7 and 8 chose the units
    there = second.regions
    kept = there["image_id"] > 8
    labelled = set(first.regions["category"]) & set(there["category"][kept])
    assert labelled
    for layer, category in product(first.layers, labelled):
        own = first.scores_of(layer.name)[
            (first.regions["category"] == category) & (first.regions["n_fixations"] > 0)
        ].astype(np.float64)
        mean = own.mean(0)
        best = sorted(range(len(mean)), key=lambda unit: -mean[unit])[:10]
        rows = kept & (there["category"] == category) & (there["n_fixations"] > 0)
        scores = second.scores_of(layer.name)[rows].astype(np.float64)
        row = found.table.query(
            "layer == @layer.name and category == @category and to == @category"
        ).iloc[0]
        assert row["mean"] == pytest.approx(np.mean([scores[:, unit].mean() for unit in best]))
        ranks = [rankdata(values) for values in (mean, scores.mean(0))]
        assert row["rank"] == pytest.approx(np.corrcoef(*ranks)[0, 1])
        theirs = sorted(range(len(mean)), key=lambda unit: -scores.mean(0)[unit])[:10]
        assert row["common"] == len(set(best) & set(theirs))
        few = there["image_id"][rows].nunique() < 10
        assert np.isnan(row["low"]) if few else row["low"] < row["mean"] < row["high"]


def test_every_category_is_paired_with_every_other(runs: tuple[Run, Run]) -> None:
    table = transfer(*runs).table
    pairs = len(runs[0].categories) * len(runs[1].categories)
    assert len(table) == pairs * len(runs[0].layers)
    assert not table.duplicated(["layer", "category", "to"]).any()


def test_stimuli_that_chose_the_units_score_none(runs: tuple[Run, Run]) -> None:
    with pytest.raises(InputError, match="has all stimuli of first: none is left"):
        transfer(runs[0], runs[0])


def test_another_network_is_refused(
    runs: tuple[Run, Run], gaze_world: Path, tmp_path: Path
) -> None:
    other = part(
        *(gaze_world, {10, 11, 12}, "other", tmp_path),
        model=sp.Backbone("gabor", input_size=(36, 36)),
    )
    with pytest.raises(InputError, match=r"different networks \(network.input_size: \[36, 48\]"):
        transfer(runs[0], other)
