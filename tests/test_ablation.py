"""Ablation against a network whose units' parts in the output are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load, save
from torch import nn

import salprobe as sp
from salprobe.datasets.errors import InputError
from salprobe.probe.cli.main import app
from salprobe.probe.dissection import ablate as module
from salprobe.probe.dissection.ablate import Halves, ablate, changes, random_units
from salprobe.probe.networks.activation import activation
from salprobe.probe.runs.inputs import model_of
from salprobe.probe.runs.run import Run


@pytest.fixture(scope="module")
def run(gaze_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a saliency model that was trained for an epoch."""
    folder = tmp_path_factory.mktemp("ablated")
    dataset = sp.load_dataset(str(gaze_world))
    backbone = sp.Backbone("squeezenet1_1", "random", (40, 56), layer="features.6")
    sp.train(dataset, sp.Recipe(epochs=1), folder / "trained", model=backbone)
    return sp.probe(
        *(gaze_world / "masks.json",),
        root=gaze_world,
        model=str(folder / "trained"),
        layers=["features.6", "readout"],
        out=folder / "run",
    )


def test_the_output_without_units_is_that_of_a_readout_that_ignores_them(
    run: Run, gaze_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {}

    def keep(run: Run, scores: np.ndarray, draws: int) -> pd.DataFrame:
        kept["scores"] = scores
        return changes(run, scores, draws)

    monkeypatch.setattr(module, "changes", keep)
    found = ablate(run, draws=2, out=tmp_path / "out", seed=3)
    assert found.layer == "features.6"
    masks = sp.load_masks(str(gaze_world / "masks.json"))
    regions = {region.id: region for region in masks.annotations}
    halves = Halves.of(run, 3)
    second = run.regions["image_id"].map(halves.second).to_numpy()
    assert 0 < second.sum() < len(second)
    model = model_of(run)
    readout = next(layer for layer in model.layers() if layer.name == "readout")
    weight = model.network.readout.weight  # type: ignore[union-attr]
    whole = weight.detach().clone()
    assert masks.fixations is not None
    checked = 0
    for row, region in enumerate(run.regions.to_dict("records")):
        stimulus = masks.image(region["image_id"])
        picture = sp.Stimuli(gaze_world, tuple(masks.images)).read(stimulus)
        looked = masks.fixations.of(stimulus.id)
        left, top, width, height = regions[region["annotation_id"]].bbox
        pixels = {
            (x, y)
            for x, y in zip(looked.x.tolist(), looked.y.tolist(), strict=True)
            if left <= x < left + width and top <= y < top + height
        }
        for number, category in enumerate(run.categories):
            others = (second != second[row]) & (run.regions["category"] == category).to_numpy()
            others &= (run.regions["n_fixations"] > 0).to_numpy()
            if not others.any():
                continue
            mean = run.scores_of("features.6")[others].astype(np.float64).mean(0)
            best = sorted(range(len(mean)), key=lambda unit: (-mean[unit], unit))[:10]
            with torch.no_grad():
                weight.copy_(whole)
                weight[:, best] = 0
            value = nss_by_hand(activation(model, readout, picture)[0], pixels)
            assert kept["scores"][row, 1 + 3 * number] == pytest.approx(value, abs=2e-3)
            checked += 1
        with torch.no_grad():
            weight.copy_(whole)
        if row % 6 == 0:
            intact = nss_by_hand(activation(model, readout, picture)[0], pixels)
            assert kept["scores"][row, 0] == pytest.approx(intact, abs=2e-3)
            assert run.scores_of("readout")[row, 0] == pytest.approx(intact, abs=2e-3)
    assert checked > 80


def nss_by_hand(saliency: np.ndarray, pixels: set[tuple[int, int]]) -> float:
    x = torch.from_numpy(saliency.astype(np.float64))[None, None]
    whole = nn.functional.interpolate(x, (72, 96), mode="bilinear")[0, 0].numpy()
    standard = (whole - whole.mean()) / whole.std()
    return float(np.mean([standard[y, x] for x, y in pixels]))


def test_the_table_is_of_means_over_regions(run: Run) -> None:
    rng = np.random.default_rng(1)
    width = 1 + len(run.categories) * 3
    scores = rng.standard_normal((len(run.regions), width))
    table = changes(run, scores, 2)
    assert len(table) == len(run.categories) ** 2
    names = run.regions["category"].to_numpy()
    for row in table.to_dict("records"):
        own = names == row["category"]
        assert row["n"] == own.sum()
        if not own.any():
            assert np.isnan(row["change"])
            continue
        place = 1 + 3 * run.categories.index(row["without"])
        lost = scores[own, place] - scores[own, 0]
        random = scores[own, place + 1 : place + 3].mean(1) - scores[own, 0]
        assert row["intact"] == pytest.approx(scores[own, 0].mean())
        assert row["change"] == pytest.approx(lost.mean())
        assert row["random"] == pytest.approx(random.mean())
        assert row["difference"] == pytest.approx((lost - random).mean())
    absent = ~table["category"].isin(names)
    assert absent.any()
    assert table.loc[absent, "q"].isna().all()
    assert table.loc[~absent & table["without"].isin(names), "q"].notna().all()


def test_random_units_are_others_of_about_the_same_activation() -> None:
    activations = np.random.default_rng(0).permutation(np.arange(100.0))
    units = np.array([3, 50, 99, 7, 20])
    drawn = [random_units(units, activations, np.random.default_rng(k)) for k in range(60)]
    for one in drawn:
        assert len(set(one) | set(units)) == 10
        assert abs(activations[one] - activations[units]).max() <= 25
    assert len({tuple(one) for one in drawn}) > 50
    assert len(random_units(np.arange(10), np.arange(20.0), np.random.default_rng(0))) == 10


def test_interrupted_it_ends_the_same(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ablate(run, draws=1, out=tmp_path / "whole")
    monkeypatch.setattr("salprobe.probe.dissection.state._SECONDS", -1.0)
    score, left = module.Scorer.score, 40

    def stop(*arguments: object) -> list[np.ndarray]:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return score(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module.Scorer, "score", stop)
    with pytest.raises(KeyboardInterrupt):
        ablate(run, draws=1, out=tmp_path / "cut")
    assert (tmp_path / "cut" / "unfinished.safetensors").exists()
    monkeypatch.setattr(module.Scorer, "score", score)
    with pytest.raises(InputError, match=r"other parameters \(draws: 1, now 2"):
        ablate(run, draws=2, out=tmp_path / "cut")
    state = (tmp_path / "cut" / "unfinished.safetensors").read_bytes()
    arrays = load(state)
    for name, value in (("next", np.array([99])), ("activations", np.zeros(5))):
        damaged = save({**arrays, name: value})
        (tmp_path / "cut" / "unfinished.safetensors").write_bytes(damaged)
        with pytest.raises(InputError, match=r"unfinished.safetensors: cannot be read"):
            ablate(run, draws=1, out=tmp_path / "cut")
    (tmp_path / "cut" / "unfinished.safetensors").write_bytes(state)
    again = ablate(run, draws=1, out=tmp_path / "cut")
    pd.testing.assert_frame_equal(whole.table, again.table)
    monkeypatch.setattr(module.Scorer, "score", None)  # complete, it computes nothing
    once_more = ablate(run, draws=1, out=tmp_path / "cut")
    pd.testing.assert_frame_equal(whole.table, once_more.table, check_exact=False)


def test_what_cannot_be_ablated_is_refused(run: Run, gaze_world: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no layer 'conv9'"):
        ablate(run, layer="conv9", out=tmp_path / "out")
    with pytest.raises(InputError, match="draws 0: expected 1 or more"):
        ablate(run, draws=0, out=tmp_path / "out")
    plain = sp.probe(
        gaze_world / "masks.json", root=gaze_world, model="nets:colours", out=tmp_path / "plain"
    )
    with pytest.raises(InputError, match="has no readout, hence no output to ablate"):
        ablate(plain)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="not a unit-ablation folder"):
        ablate(run, out=tmp_path / "foreign")


def test_the_command_prints_and_writes(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    app(["ablate", str(run.folder), "--draws", "1", "-o", str(out)], standalone_mode=False)
    printed = " ".join(capsys.readouterr().out.split())
    assert "In the category's own regions: NSS of the predicted map" in printed
    assert "features.6: what setting 10 units for (rows) to zero changes" in printed
    table = pd.read_csv(out / "changes.csv")
    assert len(table) == 144
    halves = pd.read_csv(out / "stimuli.csv").set_index("image_id")["half"]
    units = pd.read_csv(out / "units.csv").set_index(["half", "without", "set"])
    scores, of = run.scores_of("features.6"), run.regions["image_id"].map(halves)
    for half, category in units.index.droplevel("set").unique():
        rows = (run.regions["category"] == category) & (of == 3 - half)
        best = np.argsort(-scores[rows].mean(axis=0, dtype=np.float64), kind="stable")[:10]
        chosen, random = (units.loc[(half, category, name)] for name in ("chosen", "random 1"))
        assert set(chosen["unit"]) == set(best)
        assert not set(random["unit"]) & set(best)
        assert len(random) == 10
