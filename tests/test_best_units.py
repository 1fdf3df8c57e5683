"""Figure 3: each layer's best unit for a category, over a region not picked by eye."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.masks.regions import mask_of
from salprobe.probe.analysis.examples import examples
from salprobe.probe.cli.main import app
from salprobe.probe.networks.activation import activation, activations
from salprobe.probe.networks.load import Backbone, load_model
from salprobe.probe.runs.inputs import model_of
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run
from salprobe.probe.views.units import draw_best_units

LAYERS = ["log_gabor", "centre_surround"]


@pytest.fixture(scope="module")
def run(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of two layers; the region of text on image 1 has no fixations."""
    folder = tmp_path_factory.mktemp("run")
    content = json.loads((small_world / "masks.json").read_text())
    region = next(one for one in content["annotations"] if one["category_id"] == 6)
    region |= {"segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]], "bbox": [0, 0, 4, 4], "area": 16}
    masks = MaskSet.from_dict(content)
    masks.write(folder / "masks.json")
    return probe(folder / "masks.json", root=small_world, model="gabor", out=folder / "run")


def reference(run: Run, category: str) -> dict[str, Any]:
    """Choose each layer's unit and the region by slow, obvious means."""
    regions = run.regions.to_dict("records")
    rows = [
        k for k, one in enumerate(regions) if one["category"] == category and one["n_fixations"] > 0
    ]
    units = {}
    for layer in LAYERS:
        scores = run.scores_of(layer)[rows].astype(float)
        means = [scores[:, k].mean() for k in range(scores.shape[1])]
        units[layer] = (means.index(max(means)), max(means))
    chooser = max(LAYERS, key=lambda layer: units[layer][1])
    scores = [float(run.scores_of(chooser)[row, units[chooser][0]]) for row in rows]
    middle = sorted(scores)[(len(scores) - 1) // 2]
    region = rows[scores.index(middle)]
    return {"units": units, "chooser": chooser, "row": region}


def test_the_region_is_the_median_by_the_best_unit(run: Run) -> None:
    table = examples(run)
    assert list(dict.fromkeys(table["category"])) == ["person head", "person part", "text"]
    assert len(table) == 6
    for category, part in table.groupby("category"):
        expected = reference(run, str(category))
        assert list(part["layer"]) == LAYERS
        for found in part.to_dict("records"):
            unit, mean = expected["units"][found["layer"]]
            assert found["unit"] == unit
            assert found["mean"] == pytest.approx(mean, abs=1e-6)
            assert found["nss"] == run.scores_of(found["layer"])[expected["row"], unit]
            assert found["best"] == (found["layer"] == expected["chooser"])
            for name in ("annotation_id", "image_id"):
                assert found[name] == run.regions.loc[expected["row"], name]


def test_of_an_even_number_the_lower_in_the_middle_and_never_one_without_fixations(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (run.regions["category"] == "text").to_numpy()
    scored = np.flatnonzero(text & (run.regions["n_fixations"] > 0).to_numpy())
    assert len(scored) == text.sum() - 1 == 5
    scores = np.zeros(run.scores.shape, np.float32)
    scores[scored, 3] = (5, 1, 4, 2, 3)
    changed = Run(run.folder, run.info)
    changed.__dict__.update(scores=scores, regions=run.regions.copy())
    best = pd.DataFrame({"layer": LAYERS, "unit": [3, 0], "mean": [3.0, 0.0]})
    monkeypatch.setattr(Run, "best_units", lambda *_: best)
    ids = run.regions["annotation_id"].to_numpy()[scored]
    assert examples(changed, categories="text")["annotation_id"].unique() == [ids[4]]
    changed.regions.loc[scored[2], "n_fixations"] = 0  # 5, 1, 2, 3 are left
    assert examples(changed, categories="text")["annotation_id"].unique() == [ids[3]]


def test_layers_and_categories_are_chosen(run: Run) -> None:
    table = examples(run, "centre*", ["text", "person head"])
    assert list(table["layer"]) == ["centre_surround"] * 2
    assert list(table["category"]) == ["person head", "text"]
    assert table["best"].all()  # the best of what is drawn chooses the region
    assert list(examples(run, ["centre*", "log_gabor"])["layer"].iloc[:2]) == LAYERS


def test_the_figure_shows_these_units_in_that_region(run: Run, small_world: Path) -> None:
    figure = draw_best_units(run)
    table = examples(run)
    masks, model = MaskSet.read(run.folder.parent / "masks.json"), model_of(run)
    grid = np.reshape(figure.axes, (3, 3))
    for axes, (category, part) in zip(grid, table.groupby("category", sort=False), strict=True):
        image_id, region_id = part[["image_id", "annotation_id"]].iloc[0]
        picture = Image.open(small_world / f"{image_id}.png")
        assert (axes[0].get_ylabel(), axes[0].get_title()) == (category, str(image_id))
        np.testing.assert_array_equal(axes[0].images[0].get_array(), np.asarray(picture))
        for axis, unit in zip(axes[1:], part.to_dict("records"), strict=True):
            own = activation(model, model.layer(unit["layer"]), picture)[unit["unit"]]
            own = cv2.resize(own, picture.size)
            shown = axis.images[-1].get_array()
            np.testing.assert_allclose(shown, (own - own.min()) / np.ptp(own), atol=1e-5)
            title = f"unit {unit['unit']}: {unit['nss']:.2f}, mean {unit['mean']:.2f}"
            heading = f"{unit['layer']}\n" if axes[0] is grid[0, 0] else ""
            assert axis.get_title() == heading + title
            assert axis.title.get_fontweight() == ("bold" if unit["best"] else "normal")
        region = next(one for one in masks.annotations if one.id == region_id)
        stimulus = next(one for one in masks.images if one.id == image_id)
        y, x = np.nonzero(mask_of(region, stimulus))
        for axis in axes:
            (outline,) = (path for path in axis.collections[-1].get_paths() if len(path.vertices))
            low, high = outline.vertices.min(axis=0), outline.vertices.max(axis=0)
            np.testing.assert_allclose(low, (x.min() - 0.5, y.min() - 0.5))
            np.testing.assert_allclose(high, (x.max() + 0.5, y.max() + 0.5))
    caption = figure.get_suptitle().replace("\n", " ")
    assert run.describe() in caption and "The region is the median one" in caption


def test_several_layers_are_read_in_one_pass_as_one_by_one() -> None:
    picture = Image.fromarray(np.random.default_rng(2).integers(0, 256, (40, 60, 3), np.uint8))
    model = load_model("squeezenet1_0", "random", input_size=(64, 64))  # with in-place ReLUs
    layers = [model.layer(name) for name in ("features.0", "features.1", "features.5")]
    found = activations(model, layers, picture)
    assert list(found) == ["features.0", "features.1", "features.5"]
    for layer in layers:
        np.testing.assert_array_equal(found[layer.name], activation(model, layer, picture))
    assert found["features.0"].min() < 0 <= found["features.1"].min()


@pytest.mark.parametrize(
    ("name", "start"),
    [("units.png", b"\x89PNG"), ("units.pdf", b"%PDF"), ("units.svg", b"<?xml")],
)
def test_the_suffix_names_the_format(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture, name: str, start: bytes
) -> None:
    file = tmp_path / name
    options = ["--layers", "log_gabor,centre*", "--categories", "text, person head"]
    app(["figure", str(run.folder), "-o", str(file), *options], standalone_mode=False)
    assert file.read_bytes().startswith(start)
    said = capsys.readouterr()
    assert said.out == "" and said.err.split() == ["figure:", str(file)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--layers", "conv9"), "no layer 'conv9' in this run; expected log_gabor, centre_surr"),
        (("--categories", "face"), "no category 'face' in this run; expected person head"),
        (("--categories", "object"), "no region of 'object' has fixations"),
        (("--root", "nowhere"), "nowhere"),
        (("--masks", "OTHER"), "masks.json: not the mask file of run (its SHA-256 differs)"),
        (("--model", "nowhere.pth"), "takes no weights from a file; expected no --model"),
        (("-o", "units.xyz"), "units.xyz: Format 'xyz' is not supported"),
    ],
)
def test_bad_input(
    run: Run,
    small_world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = (*(str(small_world / "masks.json") if one == "OTHER" else one for one in options),)
    with pytest.raises(InputError) as error:
        app(["figure", str(run.folder), "-o", "units.png", *options], standalone_mode=False)
    assert message in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_labels_is_not_drawn(run: Run) -> None:
    unlabelled = Run(run.folder, run.info)
    unlabelled.__dict__["regions"] = run.regions.assign(category="unlabelled")
    with pytest.raises(InputError, match="no labelled region has fixations"):
        examples(unlabelled)


def test_inputs_may_move_but_not_change(
    small_world: Path, squeezenet_weights: Path, tmp_path: Path
) -> None:
    weights, moved = tmp_path / "weights.pth", tmp_path / "moved.pth"
    weights.write_bytes(squeezenet_weights.read_bytes())
    backbone = Backbone("squeezenet1_0", str(weights), input_size=(64, 64))
    layers = ["features.1", "features.12"]
    masks = small_world / "masks.json"
    run = probe(masks, model=backbone, layers=layers, root=small_world, out=tmp_path / "run")
    weights.rename(moved)
    with pytest.raises(InputError, match=r"weights\.pth: .* is missing; name it with --model"):
        draw_best_units(run)
    figure = draw_best_units(run, masks=masks, root=small_world, model=moved)
    assert len(figure.axes) == 3 * (1 + len(layers))
    run.info.parameters.weights.sha256 = "0" * 64
    with pytest.raises(InputError, match="weights are not those of run"):
        draw_best_units(run, model=moved)


def test_maps_before_the_relu_are_drawn_where_the_run_scored_them(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    model = model_of(run)

    def layers(_model: object, *, pre_relu: bool = False) -> list:
        asked.append(pre_relu)
        return found

    found = model.layers()
    monkeypatch.setattr("salprobe.probe.networks.model.Model.layers", layers)
    parameters = run.info.parameters.model_copy(update={"pre_relu": True})
    info = run.info.model_copy(update={"parameters": parameters})
    draw_best_units(Run(run.folder, info))
    assert asked == [True]
