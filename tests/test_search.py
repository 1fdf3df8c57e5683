"""`probe popout` and `probe score`: measures by hand, units against a slow reference, commands."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from salprobe.annotate.popout.arrays import Arrays, write_arrays
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli, Stimulus
from salprobe.probe.cli.main import app
from salprobe.probe.layers.layers import select
from salprobe.probe.networks.load import load_model
from salprobe.probe.popout.measures import (
    MOST_FIXATIONS,
    SearchArray,
    measures,
    search_arrays,
    summarise_models,
)
from salprobe.probe.popout.units import unit_maps, unit_nmm
from salprobe.probe.saliency.given import MapFolder


def tiny(radius: float = 0.6) -> SearchArray:
    """4×4: the target is the upper left pixel, the distractors are two others."""
    target, distractors = np.zeros((2, 4, 4), dtype=bool)
    target[0, 0] = True
    distractors[2, 2], distractors[3, 0] = True, True
    image = Stimulus(id=1, file_name="1.png", width=4, height=4)
    return SearchArray(image, target, distractors, "hue", 1.0, radius)


def test_measures_by_hand() -> None:
    saliency = np.zeros((4, 4))
    saliency[0, 0], saliency[2, 2], saliency[3, 0], saliency[1, 3] = 4, 2, 1, 3
    found = measures(saliency, tiny())
    sd = np.sqrt((16 + 4 + 1 + 9) / 16 - (10 / 16) ** 2)
    assert found["nmm"] == pytest.approx((4 - 10 / 16) / sd)
    assert found["msr_target"] == 2
    assert found["msr_background"] == 0.75
    assert found["gsi"] == pytest.approx((1 - 0.375) / (1 + 0.375))
    assert found["fixations"] == 1
    saliency[0, 0] = 0.5  # after 3, 2 and 1
    assert measures(saliency, tiny())["fixations"] == 4
    # a fixation beside it sees it, if it sees so far
    saliency[0, 1] = 9
    assert measures(saliency, tiny())["fixations"] == 5
    assert measures(saliency, tiny(radius=1.1))["fixations"] == 1
    # the last place of all
    assert measures(np.arange(16.0).reshape(4, 4), tiny())["fixations"] == 16
    wide = SearchArray(
        Stimulus(id=1, file_name="1.png", width=20, height=20),
        *(np.pad(mask, ((0, 16), (0, 16))) for mask in (tiny().target, tiny().distractors)),
        *("hue", 1.0, 0.6),
    )
    found = measures(np.arange(400.0).reshape(20, 20), wide)
    assert found["fixations"] == MOST_FIXATIONS + 1


def test_measures_where_nothing_is_known() -> None:
    constant = measures(np.ones((4, 4)), tiny())
    assert constant["nmm"] == 0
    assert np.isnan([constant["msr_target"], constant["msr_background"], constant["gsi"]]).all()
    array = tiny()
    array.distractors[:] = False
    assert np.isnan(measures(np.eye(4), array)["msr_target"])
    only = np.zeros((4, 4))
    only[0, 0] = 1
    assert measures(only, tiny())["msr_target"] == np.inf


def test_the_summary_by_hand() -> None:
    table = pd.DataFrame(
        {
            "model": ["a", "a"] * 5,
            "nmm": [1.0, 3.0] * 5,
            "msr_target": [0.5, np.inf] * 5,
            "msr_background": [1.0, 2.0] * 5,
            "gsi": [0.0, 0.5] * 5,
            "fixations": [1.0, 101.0] * 5,
        }
    )
    row = summarise_models(table).iloc[0]
    assert (row["nmm"], row["found"], row["gsi"], row["fixations"]) == (2, 0.5, 0.25, 51)
    assert row["nmm_high"] - 2 == 2 - row["nmm_low"] == pytest.approx(2.262157 / 3, rel=1e-6)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("popout") / "arrays"
    write_arrays(Arrays(6, ("hue", "size"), (1.0,), (12,), width=320, height=240, catch=1), folder)
    return folder


def test_units_equal_the_slow_reference(arrays: Path) -> None:
    masks = MaskSet.read(arrays / "popout.json")
    model = load_model("gabor", input_size=(64, 96))
    layer = select(model.layers(), [])[0]
    scores = unit_nmm(masks, arrays, model, [layer.name], device="cpu")
    units, summary = scores.units, scores.summary
    expected = []
    for array in search_arrays(masks):
        picture = Image.open(arrays / masks.image(array.image.id).file_name)
        with picture:
            small = picture.resize((96, 64), Image.Resampling.BILINEAR)
        x = torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1)[None].float() / 255
        mean, sd = (torch.tensor(v)[:, None, None] for v in (model.mean, model.sd))
        seen = []
        module = dict(model.network.named_modules())[layer.module]
        handle = module.register_forward_hook(lambda m, i, output, seen=seen: seen.append(output))
        with torch.inference_mode():
            model.network((x - mean) / sd)
        handle.remove()
        maps = seen[0]
        big = torch.nn.functional.interpolate(
            maps.double(), size=(240, 320), mode="bilinear", align_corners=False
        )[0].numpy()
        mean = big.mean(axis=(1, 2), keepdims=True)
        sd = big.std(axis=(1, 2), keepdims=True)
        standard = np.divide(big - mean, sd, out=np.zeros_like(big), where=sd > 0)
        expected.append(standard[:, array.target].mean(axis=1))
    found = units["nmm"].to_numpy()
    np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=2e-4)
    best = np.sort(found)[-10:].mean()
    assert summary["nmm"].iloc[0] == pytest.approx(best, abs=1e-6)
    # the map that the figure shows is that of the best unit of each array
    found_arrays = search_arrays(masks)
    maps = unit_maps(model, scores, Stimuli(arrays, tuple(a.image for a in found_arrays)))
    for array, row in zip(found_arrays, expected, strict=True):
        assert scores.best[array.image.id] == row.argmax()
        assert measures(maps(array.image), array)["nmm"] == pytest.approx(row.max(), abs=2e-3)


def test_the_command(command, arrays: Path, tmp_path: Path) -> None:
    done = command(
        *("probe", "popout", "--masks", arrays / "popout.json", "--models", "spectral,bms,gabor"),
        *("--out", tmp_path / "out", "--figure", tmp_path / "grid.pdf"),
    )
    assert "Saliency models on search arrays" in done.stdout
    assert "DeepGaze II (paper)" in done.stdout
    assert "gabor: mean NMM" in done.stdout
    info = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (info["arrays"], info["without_target"]) == (6, 1)
    table = pd.read_parquet(tmp_path / "out" / "measures.parquet")
    assert len(table) == 12 and set(table["feature"]) == {"hue", "size"}
    hue = table[(table["model"] == "bms") & (table["feature"] == "hue")]
    assert (hue["nmm"] > 2).all()
    assert (tmp_path / "grid.pdf").read_bytes()[:4] == b"%PDF"


def saved(folder: Path, kind: str, arrays: Path) -> None:
    """Write each array's target mask as a saliency map of half the size."""
    folder.mkdir()
    for array in search_arrays(MaskSet.read(arrays / "popout.json")):
        values = array.target[::2, ::2].astype(np.float64)
        path = folder / f"{Path(array.image.file_name).stem}.{kind}"
        if kind == "npy":
            np.save(path, values)
        elif kind == "mat":
            savemat(path, {"map": values})
        elif kind == "h5":
            with h5py.File(path, "w") as file:
                file["map"] = values
        else:
            Image.fromarray((values * 255).astype(np.uint8)).convert("RGB").save(path)


@pytest.mark.parametrize("kind", ["png", "npy", "mat", "h5"])
def test_folders_of_maps(kind: str, arrays: Path, tmp_path: Path) -> None:
    saved(tmp_path / "maps", kind, arrays)
    found = search_arrays(MaskSet.read(arrays / "popout.json"))
    stimuli = Stimuli(arrays, tuple(array.image for array in found))
    folder = MapFolder(tmp_path / "maps", stimuli)
    for array in found:
        image = folder(array.image)
        assert image.shape == (240, 320)
        assert measures(image, array)["nmm"] > 5
    assert folder.resized == 6


def test_bad_maps(arrays: Path, tmp_path: Path) -> None:
    saved(tmp_path / "maps", "npy", arrays)
    found = search_arrays(MaskSet.read(arrays / "popout.json"))
    stimuli = Stimuli(arrays, tuple(array.image for array in found))
    first = tmp_path / "maps" / f"{Path(found[0].image.file_name).stem}.npy"
    for values, says in (
        (np.zeros((3, 4, 5)), r"expected a map \(height, width\), got \(3, 4, 5\)"),
        (np.full((4, 5), np.nan), "not finite"),
        (np.array([{}], dtype=object), "not an array"),
    ):
        np.save(first, values, allow_pickle=True)
        with pytest.raises(InputError, match=says):
            MapFolder(tmp_path / "maps", stimuli)(found[0].image)
    first.unlink()
    with pytest.raises(InputError, match="no map of 0001_hue"):
        MapFolder(tmp_path / "maps", stimuli)
    with pytest.raises(InputError, match="no such folder of maps"):
        MapFolder(tmp_path / "none", stimuli)


def refused(says: str, *arguments: object) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        app([str(one) for one in arguments], standalone_mode=False)


def test_bad_input(arrays: Path, small_world: Path, tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    masks = arrays / "popout.json"
    for options, says in (
        (("--masks", masks), "no model is named"),
        (("--masks", masks, "--models", "bms,bms"), "given twice among bms, bms"),
        (("--masks", masks, "--models", "vgg61"), "no model 'vgg61'"),
        (("--masks", masks, "--maps", tmp_path), "expected NAME=PATH"),
        (("--masks", masks, "--maps", f"x={tmp_path / 'maps'}"), "no map of 0001_hue and 5 more"),
        (("--masks", small_world / "masks.json", "--models", "bms"), "category 'target'"),
        (("--masks", masks, "--models", "nowhere:f"), "nowhere:f: ModuleNotFoundError"),
    ):
        refused(says, "popout", *options, "-o", tmp_path / "out")
        assert not (tmp_path / "out").exists()
    says = "exists and is not a folder of pop-out results"
    refused(says, "popout", "--masks", masks, "--models", "bms", "-o", arrays)


def test_score(command, small_world: Path, tmp_path: Path) -> None:
    masks = MaskSet.read(small_world / "masks.json")
    assert masks.fixations is not None
    columns = masks.fixations.to_columns()
    names = {image.id: image.file_name for image in masks.images}
    table = pd.DataFrame(columns).assign(image=lambda t: t["image_id"].map(names))
    table[["image", "subject", "x", "y"]].to_csv(tmp_path / "gaze.csv", index=False)
    scoring = ("score", small_world, "--fixations", tmp_path / "gaze.csv", "--px-per-degree", 8)
    models = ("--models", "spectral,bms", "--out", tmp_path / "s.csv", "--json")
    record = json.loads(command("probe", *scoring, *models).stdout)
    assert {one["measure"] for one in record} == {
        *("NSS", "AUC-Judd", "AUC-Borji", "sAUC", "CC", "SIM", "KL", "IG")
    }
    assert len(pd.read_csv(tmp_path / "s.csv")) == 12
    scores = pd.read_csv(tmp_path / "s.csv").groupby("model").mean(numeric_only=True)
    for one in record:
        assert one["mean"] == pytest.approx(scores.loc[one["model"], one["measure"]])
        assert one["low"] is None  # six images are too few
    for more, says in (
        ((), "no model is named"),
        (("--models", "vgg16"), "vgg16: not a saliency model"),
        (("--models", "bms", "-n", "1"), "--count 1: expected 2 or more"),
        (("--models", "bms", "-o", "x.txt"), "ends in .csv or .parquet"),
        (("--maps", f"x={tmp_path}"), "no map of 1 and 5 more"),
    ):
        refused(says, *scoring, *more)


@pytest.mark.slow
def test_middle_layers_see_what_the_last_does_not(squeezenet_weights, tmp_path: Path) -> None:
    masks = write_arrays(Arrays(), tmp_path / "arrays")
    model = load_model("squeezenet1_0", str(squeezenet_weights))
    layers = ["features.7", "features.12"]
    scores = unit_nmm(masks, tmp_path / "arrays", model, layers, device="cpu")
    by_layer = scores.summary.set_index("layer")
    assert by_layer.loc["features.7", "nmm_low"] > 2 > by_layer.loc["features.12", "nmm_high"]
