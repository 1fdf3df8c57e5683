"""One unit before and after, and units that went from one category to another."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from salprobe.datasets.errors import InputError
from salprobe.probe.analysis.unit_change import transition_table, transitions, unit_change
from salprobe.probe.cli.main import app
from salprobe.probe.layers.layers import Layer
from salprobe.probe.networks.load import Backbone
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run
from salprobe.probe.statistics.clusters import mean_interval
from salprobe.probe.views import units

LAYER = "units"


@pytest.fixture(scope="module")
def runs(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Return two runs, of units red, green, blue, constant and green, red, blue, constant."""
    folder = tmp_path_factory.mktemp("runs")
    masks = small_world / "masks.json"
    names = ("nets:colours", "nets:other_colours")
    first, second = (
        probe(masks, root=small_world, model=name, layers=[LAYER], out=folder / name[5:])
        for name in names
    )
    return first, second


def test_a_unit_is_compared_region_by_region(runs: tuple[Run, Run]) -> None:
    change = unit_change(*runs, LAYER, 0)
    red, green = (runs[0].scores_of(LAYER)[:, k].astype(float) for k in (0, 1))
    by_id = dict(zip(runs[0].regions["annotation_id"], green - red, strict=True))
    for row in change.regions.to_dict("records"):
        assert row["difference"] == pytest.approx(by_id[row["annotation_id"]], abs=1e-6)
    sizes = change.regions["difference"].abs().to_numpy()
    assert (np.diff(sizes) <= 0).all()
    for row in change.categories.to_dict("records"):
        rows = (runs[0].regions["category"] == row["category"]).to_numpy()
        if rows.any():
            assert row["before"] == pytest.approx(np.nanmean(red[rows]), abs=1e-6)
            assert row["after"] == pytest.approx(np.nanmean(green[rows]), abs=1e-6)
            part = (green - red)[rows], runs[0].regions["image_id"].to_numpy()[rows]
            expected = mean_interval(*part)
            found = [row["difference"], row["low"], row["high"]]
            assert found == pytest.approx(list(expected), abs=1e-6, nan_ok=True)


def test_units_are_sorted_by_what_they_respond_to_most(
    runs: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salprobe.probe.analysis.unit_change.THRESHOLD", 0.05)
    found = transitions(*runs, LAYER)
    for when, run in zip(("before", "after"), runs, strict=True):
        table = run.units.pivot(index="unit", columns="category", values="mean")
        for row in found.to_dict("records"):
            best = table.loc[row["unit"]].max()
            assert row[f"{when}_mean"] == pytest.approx(best)
            name = table.loc[row["unit"]].idxmax() if best > 0.05 else "none"
            assert row[when] == name
    # Red and green changed places: the second run's unit 1 is the first's 0.
    assert found.loc[0, "before"] == found.loc[1, "after"]
    assert found.loc[3, "before"] == "none"  # the constant
    counts = transition_table(found, runs[0].categories)
    assert counts.to_numpy().sum() == 4


def test_the_figure_shows_where_it_changed_most(
    runs: tuple[Run, Run], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folders = [str(run.folder) for run in runs]
    figure = tmp_path / "unit.png"
    options = ["--unit", f"{LAYER}:0", "--figure", str(figure), "--images", "3", "-f", "json"]
    app(["compare", *folders, *options], standalone_mode=False)
    assert len(json.loads(capsys.readouterr().out)) == 6
    with Image.open(figure) as picture:
        assert picture.height / picture.width == pytest.approx(3 * 2.35 / 9, rel=0.01)
    app(["compare", *folders, "--transitions", LAYER], standalone_mode=False)
    assert "of 4 units changed" in capsys.readouterr().out


def test_the_figure_shows_maps_where_the_run_scored_them(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    run = probe(
        small_world / "masks.json",
        model=Backbone("nets:small", input_size=(36, 48)),
        layers=["one.0"],
        registration="measured",
        root=small_world,
        out=out,
    )
    drawn = []

    def activation(_model: object, layer: Layer, _picture: object) -> np.ndarray:
        drawn.append(layer.registration)
        return np.zeros((layer.units, 4, 4), np.float32)

    monkeypatch.setattr(units, "activation", activation)
    figure = str(tmp_path / "unit.png")
    app(
        ["compare", str(out), str(out), "--unit", "one.0:1", "--figure", figure],
        standalone_mode=False,
    )
    assert run.info.layers[0].registration is not None
    assert set(drawn) == {run.info.layers[0].registration}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--unit", "units"), "unit 'units': expected LAYER:UNIT"),
        (("--unit", "units:4"), "units has units 0 to 3, no 4"),
        (("--unit", "nine:0"), "no layer 'nine'"),
        (("--transitions", "nine"), "no layer 'nine'"),
        (("--figure", "a.png"), "--figure needs --unit"),
        (("--unit", "units:0", "--transitions", "units"), "exclude each other"),
        (("--unit", "units:0", "--images", "0"), "--images 0"),
    ],
)
def test_bad_input(runs: tuple[Run, Run], options: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError) as error:
        app(["compare", *(str(run.folder) for run in runs), *options], standalone_mode=False)
    assert message in str(error.value)


def test_a_network_that_has_changed_is_not_drawn(
    small_world: Path, squeezenet_weights: Path, tmp_path: Path
) -> None:
    import shutil

    weights = tmp_path / "weights.pth"
    shutil.copy(squeezenet_weights, weights)
    masks, layers = small_world / "masks.json", ["features.12"]
    backbone = Backbone("squeezenet1_0", str(weights))
    run = probe(masks, model=backbone, layers=layers, root=small_world, out=tmp_path / "run")
    figure = str(tmp_path / "unit.png")
    arguments = ["compare", *[str(run.folder)] * 2, "--unit", "features.12:3", "--figure", figure]
    app(arguments, standalone_mode=False)
    weights.unlink()
    with pytest.raises(
        InputError, match=r"weights.pth: the file of weights is missing; name it with --before"
    ):
        app(arguments, standalone_mode=False)
    moved = ["--before", str(squeezenet_weights), "--after", str(squeezenet_weights)]
    app([*arguments, *moved], standalone_mode=False)
