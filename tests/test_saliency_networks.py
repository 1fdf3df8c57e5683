"""UNISAL and MSI-Net by name in every command, with weights made up at random."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

import salprobe as sp
from salprobe.probe.cli.main import app
from salprobe.probe.cli.options import parse_models, parse_weights
from salprobe.probe.networks.load import is_training, model_of_module
from salprobe.probe.saliency.densities import without_logarithm
from salprobe.probe.saliency.maps import network_maps
from salprobe.probe.sources.description import Network
from salprobe.probe.views.saliency.tables import render_scores


def probe(*arguments: object) -> None:
    app([str(one) for one in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """UNISAL's, such that its map is far from flat."""
    path = tmp_path_factory.mktemp("weights") / "weights_best.pth"
    network = sp.load_model("unisal", "random", seed=4).network
    state = network.state_dict()
    for key, value in state.items():
        if key.startswith("adaptation"):
            value.mul_(300)
    torch.save(state, path)
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    rng, folder = np.random.default_rng(1), tmp_path / "album"
    folder.mkdir()
    for name in ("1.png", "2.png"):
        noise = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((80, 60)).save(folder / name)
    return folder


def test_names_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.pth").touch()
    Path("runs=2").mkdir()
    names, files = parse_models("bms, unisal=w.pth,runs=2,msinet=random")
    assert names == ["bms", "unisal", "runs=2", "msinet"]
    assert files == {"unisal": Path("w.pth"), "msinet": Path("random")}
    assert parse_weights(None, names, files) == files
    assert parse_weights(["bms=w.pth"], names, files)["bms"] == Path("w.pth")
    with pytest.raises(sp.InputError, match="unisal is given twice"):
        parse_weights(["unisal=w.pth"], names, files)
    with pytest.raises(sp.InputError, match="--models unisal=none: no such file"):
        parse_models("unisal=none")


def test_maps(album: Path, weights: Path, tmp_path: Path, capsys) -> None:
    out, picture = tmp_path / "out", np.asarray(Image.open(album / "1.png"))
    both = f"unisal={weights},unisal-dhf1k={weights}"
    probe("maps", album, "--models", both, "-o", out)
    found = np.load(out / "unisal" / "1.npy")
    np.testing.assert_allclose(found, sp.saliency_map("unisal", picture, weights), atol=1e-4)
    assert found.max() < 0 and np.exp(found).sum() == pytest.approx(1, abs=1e-3)
    assert abs(found - np.load(out / "unisal-dhf1k" / "1.npy")).max() > 1e-2
    probe("maps", album, "--models", f"unisal={weights}", "-o", out)
    assert "0 maps written, 2 kept" in " ".join(capsys.readouterr().err.split())
    probe("maps", album, "--models", "unisal=random", "-o", out)
    assert "2 maps written" in capsys.readouterr().err
    assert abs(found - np.load(out / "unisal" / "1.npy")).max() > 1e-2
    with pytest.raises(sp.InputError, match="unisal: get weights_best"):
        probe("maps", album, "--models", "unisal", "-o", out)
    with pytest.raises(sp.InputError, match="bms has no weights"):
        probe("maps", album, "--models", f"bms={weights}", "-o", out)


def test_maps_of_msinet_are_0_to_1(album: Path, tmp_path: Path) -> None:
    probe("maps", album, "--models", "msinet=random", "-o", tmp_path)
    found = np.load(tmp_path / "msinet" / "1.npy")
    assert found.shape == (60, 80) and found.min() >= 0 and 0.9 < found.max() <= 1


def test_score_takes_the_density_whose_logarithm_the_map_is(
    weights: Path, gaze_world: Path, tmp_path: Path
) -> None:
    table = tmp_path / "s.csv"
    probe("score", gaze_world, "--models", f"unisal={weights}", "-n", 2, "-o", table)
    dataset = sp.load_dataset(str(gaze_world))
    stimulus = dataset.stimuli[0]
    picture = np.asarray(dataset.stimuli.read(stimulus))
    density = np.exp(sp.saliency_map("unisal", picture, weights))
    looked = dataset.fixations.of(stimulus.id)
    z = (density - density.mean()) / density.std()
    row = pd.read_csv(table).iloc[0]
    assert row["image_id"] == stimulus.id and row["kind"] == "density"
    assert row["NSS"] == pytest.approx(z[looked.y, looked.x].mean(), abs=1e-3)


def test_only_a_log_density_is_exponentiated() -> None:
    density = np.array([[0.25, 0.5], [0.125, 0.125]])
    np.testing.assert_allclose(without_logarithm(np.log(density)), density)
    for other in (density, np.log(density) - 0.1, np.zeros((2, 2)), -density, 1e6 * density):
        assert without_logarithm(other) is other


class _LogDensity(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = torch.nn.functional.avg_pool2d(images.mean(1, keepdim=True), 4)
        return maps.flatten(1).log_softmax(1).view_as(maps)


def test_a_log_density_is_one_over_the_pictures_pixels() -> None:
    network = network_maps(model_of_module(Network(_LogDensity(), size=(24, 32))))
    picture = np.random.default_rng(0).integers(0, 256, (48, 56, 3), dtype=np.uint8)
    found = network(picture)
    assert found.shape == (48, 56)
    assert np.exp(found).sum() == pytest.approx(1) and without_logarithm(found) is not found


def test_popout_measures_its_map(weights: Path, tmp_path: Path) -> None:
    sp.write_arrays(sp.Arrays(features=("hue",), count=1, catch=0), tmp_path / "popout")
    masks = tmp_path / "popout" / "popout.json"
    out = ("--masks", masks, "-o", tmp_path / "found")
    probe("popout", *out, "--models", f"unisal={weights}")
    measured = pd.read_parquet(tmp_path / "found" / "measures.parquet")
    assert measured["model"].tolist() == ["unisal"] and np.isfinite(measured["nmm"]).all()
    info = json.loads((tmp_path / "found" / "run.json").read_text())
    assert info["networks"]["unisal"]["file"] == "weights_best.pth"
    with pytest.raises(sp.InputError, match="networks"):
        probe("popout", *out, "--models", "unisal=random")


@pytest.mark.parametrize(
    ("name", "size", "layers"),
    [("unisal", "64x96", "cnn.features.14,post_upsampling_2.*"), ("msinet", "48x64", "decoder.*")],
)
def test_run_scores_its_units(
    name: str, size: str, layers: str, small_world: Path, tmp_path: Path
) -> None:
    run = sp.probe(
        small_world / "masks.json",
        model=sp.Backbone(name, "random", tuple(map(int, size.split("x")))),  # type: ignore[arg-type]
        layers=layers.split(","),
        root=small_world,
        out=tmp_path / "run",
    )
    network = run.info.parameters
    assert network.interpolation == ("lanczos" if name == "unisal" else "bilinear")
    assert network.range == (1 if name == "unisal" else 255)
    assert np.isfinite(run.scores).any()


def test_train_goes_on_from_it(weights: Path, gaze_world: Path, tmp_path: Path) -> None:
    dataset = sp.load_dataset(str(gaze_world))
    backbone = sp.Backbone("unisal", str(weights), input_size=(64, 96))
    info = sp.train(dataset, sp.Recipe(tune=1, epochs=1), tmp_path / "tuned", model=backbone)
    assert info.parameters.backbone.layer == "post_upsampling_2.inv_res"
    assert info.tuned == [
        "backbone.post_upsampling_2.inv_res.conv.6.weight",
        "readout.weight",
    ]
    picture = np.asarray(dataset.stimuli.read(dataset.stimuli[0]))
    assert sp.saliency_map(str(tmp_path / "tuned"), picture).shape == picture.shape[:2]


def test_a_folder_of_its_name_is_not_taken_for_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("unisal").mkdir()  # such as the authors' repository
    assert not is_training("unisal")
    assert sp.load_model("unisal", "random").name == "unisal"


def test_convert(weights: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "u.safetensors"
    probe("convert", weights, "--model", "unisal", "-o", out)
    assert "unisal, 3714872 parameters" in capsys.readouterr().err
    state = torch.load(weights, weights_only=True)
    found = load_file(out)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)
    del state["smoothing_salicon.weight"]
    torch.save(state, tmp_path / "less.pth")
    for file, target, says in (
        (tmp_path / "less.pth", out, "missing: smoothing_salicon.weight"),
        (weights, tmp_path / "u.pth", "ends in .safetensors"),
        ("random", out, "expected a file of weights"),
        (tmp_path / "none.pb", out, r"none\.pb: no such file"),
    ):
        with pytest.raises(sp.InputError, match=says):
            probe("convert", file, "--model", "unisal", "-o", target)
    assert load_file(out).keys() == found.keys()


def test_a_converted_readout_stays_on_its_layer(gaze_world: Path, tmp_path: Path) -> None:
    dataset = sp.load_dataset(str(gaze_world))
    backbone = sp.Backbone("squeezenet1_0", "random", input_size=(64, 64), layer="features.5")
    sp.train(dataset, sp.Recipe(epochs=1), tmp_path / "trained", model=backbone)
    best, out = tmp_path / "trained" / "best.safetensors", tmp_path / "s.safetensors"
    sp.convert_weights(best, out, "squeezenet1_0")
    layers = [
        sp.load_model("squeezenet1_0", str(one), input_size=(64, 64)).network.layer.name  # type: ignore[union-attr]
        for one in (best, out)
    ]
    assert layers == ["features.5", "features.5"]


def test_a_table_of_models_with_long_names_cuts_nothing_off() -> None:
    names = [f"explained-readout:runs/explanation-{k}" for k in range(6)]
    rows = [
        {"model": name, "measure": "NSS", "mean": -1.25, "low": -1.5, "high": -1.0}
        for name in names
    ]
    console = Console(width=80, file=io.StringIO())
    console.print(render_scores(pd.DataFrame(rows).assign(kind="density"), "Scores"))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in shown and shown.count("-1.25") == len(names)
