"""What cells see, estimates of receptive fields, gratings, and the command `probe fields`."""

import json
import math
from pathlib import Path

import nets
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import salprobe as sp
from salprobe.datasets.stimuli import Stimuli
from salprobe.probe.fields.estimates import (
    OPPONENT,
    best_places,
    gradient_halves,
    linear_field,
    noise_halves,
    reliability,
)
from salprobe.probe.fields.gratings import answers, describe_answers, grating
from salprobe.probe.fields.rectifiers import maps_before_relu
from salprobe.probe.fields.windows import Window, measure_window
from salprobe.probe.layers.layers import reading
from salprobe.probe.networks.load import model_of_module
from salprobe.probe.networks.model import network_input
from salprobe.probe.sources.description import Network
from salprobe.probe.views.fields.pictures import picture_of


def model_of(module: nn.Module, side: int = 48) -> sp.Model:
    described = Network(module, size=(side, side), mean=(0.5, 0.5, 0.5), sd=(0.25, 0.25, 0.5))
    return model_of_module(described)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Stimuli:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(2)
    for number in range(6):
        noise = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return Stimuli.from_folder(folder)


@pytest.fixture(scope="module")
def window() -> Window:
    model = model_of(nets.filters())
    return measure_window(model, model.layer("filters.1"))


class Joined(nn.Module):
    """Units from two branches, as in a fire block; one with a functional ReLU, one in place."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 3, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([F.relu(self.one(x)), self.act(self.two(x))], 1)


class Pointwise(nn.Module):
    """A unit, then something to be cut off."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block, self.act = block, nn.ReLU6()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.block(x)).mean((2, 3))


def test_maps_before_the_relu_of_joined_branches() -> None:
    torch.manual_seed(0)
    network = Pointwise(Joined()).eval()
    model = model_of(network, 8)
    images = torch.randn(2, 3, 8, 8)
    block = model.network.block
    expected = torch.cat([block.one(images), block.two(images)], 1)
    found = maps_before_relu(model.network, model.layer("block"), images)
    assert torch.allclose(found, expected)
    assert found.min() < 0
    with torch.no_grad(), reading(model.network, [model.layer("block")]) as forward:
        forward(images, lambda _, maps: torch.testing.assert_close(maps, expected.relu()))
    (gradient,) = torch.autograd.grad(
        maps_before_relu(model.network, model.layer("act"), images.requires_grad_())[0, 0, 0, 0],
        images,
    )
    assert torch.equal(
        gradient[0, :, 0, 0], block.one.weight[0, :, 0, 0] * (expected[0, 0, 0, 0] > 0)
    )


@pytest.mark.parametrize("in_place", [False, True])
def test_maps_before_a_clipped_relu(in_place: bool) -> None:
    torch.manual_seed(0)
    network = Pointwise(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6(in_place))).eval()
    model = model_of(network, 8)
    images = 50 * torch.randn(2, 3, 8, 8)
    found = maps_before_relu(model.network, model.layer("block.1"), images)
    assert torch.equal(found, model.network.block[0](images))
    assert found.min() < 0 and found.max() > 6
    model = model_of(Pointwise(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Hardtanh())).eval(), 8)
    found = maps_before_relu(model.network, model.layer("block.1"), images)
    assert found.abs().max() == 1  # no ReLU


class Added(nn.Module):
    """A branch with a ReLU, to whose output another branch is added in place."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.one(x)).add_(self.two(x))


def test_what_is_added_after_a_relu_is_no_rectified_map() -> None:
    torch.manual_seed(0)
    model = model_of(Pointwise(Added()).eval(), 8)
    images = torch.randn(2, 3, 8, 8)
    block = model.network.block
    found = maps_before_relu(model.network, model.layer("block"), images)
    assert torch.allclose(found, block.one(images).relu() + block.two(images))


def test_the_window_of_a_convolution(window: Window) -> None:
    assert (window.side, window.stride, window.start, window.cell) == (15, 2, 0, 0)
    assert (window.patch, window.block, window.grid) == (15, 1, 15)
    assert window.whole_cells(48) == 17


@pytest.mark.parametrize("seed", range(3))
def test_windows_agree_with_arithmetic(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers, side, stride, channels, start = [], 1, 1, 3, 0
    for _ in range(3):
        kernel = int(rng.choice([1, 3, 5]))
        step, padding = int(rng.choice([1, 2])), int(rng.integers(0, kernel // 2 + 1))
        layers += [nn.Conv2d(channels, 4, kernel, step, padding), nn.ReLU(inplace=True)]
        side, start = side + (kernel - 1) * stride, start - padding * stride
        channels, stride = 4, stride * step
    torch.manual_seed(seed)
    model = model_of(Pointwise(nn.Sequential(*layers)), 96)
    found = measure_window(model, model.layer("block.5"))
    assert (found.side, found.stride) == (side, stride)
    assert found.cell == math.ceil(-start / stride)
    assert found.start == start + found.cell * stride


class _Whole(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean((2, 3), keepdim=True)


def test_cells_that_see_the_whole_picture_are_refused() -> None:
    model = model_of(Pointwise(nn.Sequential(nn.Conv2d(3, 4, 3), _Whole(), nn.ReLU())))
    with pytest.raises(sp.InputError, match="a cell sees more than the 48×48 input"):
        measure_window(model, model.layer("block.2"))
    small = model_of(nets.filters(), 20)
    with pytest.raises(sp.InputError, match=r"filters\.1 has no receptive fields"):
        measure_window(small, small.layer("filters.1"))


def test_a_linear_unit_s_gradient_is_its_filter(window: Window) -> None:
    patches = np.random.default_rng(0).integers(0, 256, (3, 15, 15, 3), dtype=np.uint8)
    bank = nets.filter_bank().numpy()
    scaled = bank / np.array([0.25, 0.25, 0.5])[:, None, None]  # the network's input is divided
    for unit in range(len(bank)):
        expected = np.einsum("oc,chw->ohw", OPPONENT, scaled[unit])
        np.testing.assert_allclose(linear_field(window, unit, patches), expected, atol=1e-5)


def test_places_and_gradients_beside_a_slow_reference(window: Window, pictures: Stimuli) -> None:
    best = 3
    places = best_places(window, pictures, best)
    model = window.model
    inputs = [network_input(pictures.read(one), model.resize) for one in pictures]
    conv = model.network.filters[0]
    for unit in (0, 5):
        ranked = []
        for index, picture in enumerate(inputs):
            maps = conv(model.images(picture[None]))[0, unit].detach().numpy()
            row, column = np.unravel_index(maps.argmax(), maps.shape)
            ranked.append((-maps.max(), index, row, column))
        expected = [one[1:] for one in sorted(ranked)[:best]]
        assert places[unit].tolist() == [list(map(int, one)) for one in expected]
        halves = gradient_halves(window, pictures, places, [unit])
        for half in (0, 1):
            chosen = [window.cut(inputs[i], r, c) for i, r, c in places[unit][half::2]]
            own = linear_field(window, unit, np.stack(chosen))
            np.testing.assert_allclose(halves[half, 0], own, rtol=1e-4, atol=1e-5)
    assert (reliability(halves[:, :, 0]) > 0.999).all()


def test_the_average_of_noise_finds_linear_filters(window: Window) -> None:
    halves = noise_halves(window, 2000)
    patches = np.zeros((1, 15, 15, 3), np.uint8)
    for unit in range(8):
        truth, mean = linear_field(window, unit, patches), halves[:, unit].mean(0)
        assert np.corrcoef(truth.ravel(), mean.ravel())[0, 1] > 0.98
        slope = (truth * mean).sum() / (truth**2).sum()
        assert slope == pytest.approx(1, abs=0.05)
    assert not halves[:, 8].any()
    assert np.isnan(reliability(halves[:, 8:, 0])).all()


def test_noise_in_coarse_blocks_lies_where_the_field_does() -> None:
    kernel = torch.full((4, 3, 57, 57), 0.02)
    for unit in range(4):
        kernel[unit, :, 8 * unit : 8 * unit + 10, 20:31] = 1.0
    network = nn.Sequential(nn.Conv2d(3, 4, 57, stride=4, padding=3), nn.ReLU())
    network[0].weight.data.copy_(kernel)
    model = model_of(Pointwise(network), 96)
    window = measure_window(model, model.layer("block.1"))
    assert (window.side, window.stride, window.start, window.patch) == (57, 4, 1, 58)
    assert (window.block, window.grid, window.margin) == (4, 15, 1)
    mean = noise_halves(window, 480).mean(0)
    patches = np.zeros((1, 58, 58, 3), np.uint8)
    for unit in range(4):
        truth = linear_field(window, unit, patches)
        assert np.corrcoef(truth.ravel(), mean[unit].ravel())[0, 1] > 0.97


class SamePadding(nn.Conv2d):
    """A convolution padded as TensorFlow does: on the right and below, or on all sides."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pads = []
        for length in reversed(images.shape[2:]):
            missing = max((-(-length // 2) - 1) * 2 + 3 - length, 0)
            pads += [missing // 2, missing - missing // 2]
        return super().forward(nn.functional.pad(images, pads))


def test_tensorflow_s_padding_depends_on_the_size_and_is_that_of_the_input() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(SamePadding(3, 4, 3, stride=2), SamePadding(4, 4, 3, stride=2))
    model = model_of(Pointwise(network), 64)
    window = measure_window(model, model.layer("act"))
    assert (window.side, window.stride, window.start) == (7, 4, 0)
    assert (window.patch, window.spare) == (8, 1)  # of 7 pixels, one more would be padded above
    whole = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    images = model.images(whole[None], torch.device("cpu"))
    expected = window.maps(images)[0, :, 5, 3]
    patch = window.cut(whole, 5, 3)
    found = window.responses(model.images(patch[None], torch.device("cpu")))[0]
    torch.testing.assert_close(found, expected)


def test_fields_of_noise_are_not_reliable() -> None:
    halves = np.random.default_rng(0).standard_normal((2, 400, 20, 20))
    found = reliability(halves)
    assert abs(found.mean()) < 0.01
    assert found.std() == pytest.approx(1 / math.sqrt(400), rel=0.15)


def test_gratings_have_the_wavelength_and_the_disc_asked_for() -> None:
    drawn = grating(64, 32.0, 8.0, 0.0, math.pi / 2, 40.0)[..., 0].astype(float)
    spectrum = np.abs(np.fft.rfft(grating(64, 32.0, 8.0, 0.0, 0.0, 200.0)[32, :, 0] - 127.5))
    assert spectrum.argmax() == 64 // 8
    assert (drawn[0] == 128).all()
    assert (drawn[:, 0] == 128).all()
    assert set(drawn[32, 14:50].round()) != {128.0}


def test_opponency_and_suppression(window: Window) -> None:
    found = describe_answers(*answers(window)).set_index("unit")
    assert found["opponent"][:3].all()
    assert not found["opponent"][8]
    assert np.isnan(found["suppression"][8])
    assert found["suppression"][0] > 0.15  # difference of Gaussians
    assert found["suppression"][3] < 0.02  # a Gaussian sums whatever falls on it


def test_suppression_by_hand() -> None:
    blank = np.array([1.0, 1.0, 0.0])
    small, full = [[3.0, 1.0, -1.0], [1.0, 1.0, -1]], [[2.0, 1.0, -2.0], [0.0, 1.0, -1.0]]
    found = describe_answers(np.array([small, full]), blank)
    assert found["suppression"][0] == pytest.approx(0.5)
    assert np.isnan(found["suppression"][1:]).all()
    assert found["opponent"].tolist() == [True, False, False]


def test_a_field_s_picture_is_grey_where_it_is_0() -> None:
    field = np.zeros((3, 2, 2))
    field[0, 0, 0], field[1, 1, 1] = 1.0, 1.0
    drawn = picture_of(field)
    assert (drawn[0, 1] == 0.5).all()
    assert drawn[0, 0, 0] == drawn[0, 0, 1] == drawn[0, 0, 2] > 0.5
    assert drawn[1, 1].tolist() == pytest.approx([1.0, 0.0, 0.5])


FIELDS = ("--best", "4", "--noise", "40", "--device", "cpu", "--input-size", "48")


def test_the_command_finds_the_filters_and_goes_on(
    pictures: Stimuli, tmp_path: Path, command
) -> None:
    call = ("probe", "fields", "nets:filters", pictures.root, *FIELDS, "-o", tmp_path / "f")
    options = {"cwd": tmp_path, "env": _environment()}
    first = command(*call, **options)
    assert "centre–surround" in first.stdout
    assert not first.stderr.count("Warning")
    units = pd.read_parquet(tmp_path / "f" / "units.parquet")
    noise = units[(units["estimate"] == "noise") & units["strongest"]].set_index("unit")
    assert noise["centre_surround"].tolist() == [True] * 3 + [False] * 5
    assert noise["channel"][1] == "red-green"
    assert noise["polarity"].tolist()[:3] == [1, 1, -1]
    record = json.loads((tmp_path / "f" / "fields.json").read_text("utf-8"))
    assert record["layers"]["filters.1"]["side"] == 15
    with np.load(tmp_path / "f" / "fields.npz") as file:
        assert file["before/filters.1/noise"].shape == (9, 3, 15, 15)
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "f" / "parts").iterdir()}
    next(path for path in parts if path.suffix == ".npy").unlink()
    again = command(*call, **options)
    assert again.stdout == first.stdout
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "f" / "parts").iterdir()}
    assert kept.keys() == parts.keys()
    assert len(kept.items() & parts.items()) == len(parts) - 1


def test_another_seed_is_other_noise(window: Window) -> None:
    first, second = (noise_halves(window, 16, seed) for seed in (3, 4))
    for one in first[:, :3]:
        for other in second[:, :3]:
            assert not np.allclose(one, other)


RECIPE = sp.FieldRecipe(best=2, noise=8)


def toy_fields(pictures: Stimuli, out: Path, after: sp.Backbone | None = None, **changed):
    given = {"model": sp.Backbone("nets:filters", input_size=(48, 48)), "recipe": RECIPE}
    return sp.fields(pictures, after=after, out=out, **given | changed)


def test_a_folder_is_of_one_network_and_one_recipe(pictures: Stimuli, tmp_path: Path) -> None:
    out = tmp_path / "f"
    toy_fields(pictures, out)
    assert json.loads((out / "fields.json").read_text("utf-8"))["status"] == "complete"
    kept = (out / "shares.csv").read_bytes()
    few = Stimuli(pictures.root, tuple(pictures)[:4])
    other = sp.Backbone("squeezenet1_1", "random", input_size=(48, 48))
    for call, said in (
        (lambda: toy_fields(few, out), "stimuli: 6, now 4"),
        (lambda: toy_fields(pictures, out, recipe=sp.FieldRecipe(2, 10)), "noise: 8, now 10"),
        (
            lambda: toy_fields(pictures, out, model=other, layers="features.1"),
            "network.model: .*now squeezenet1_1",
        ),
    ):
        with pytest.raises(sp.InputError, match=said):
            call()
    assert (out / "shares.csv").read_bytes() == kept
    with pytest.raises(sp.InputError, match="one photograph; expected 2 or more"):
        toy_fields(Stimuli(pictures.root, tuple(pictures)[:1]), tmp_path / "g")


def test_a_part_of_another_shape_is_damaged(pictures: Stimuli, tmp_path: Path) -> None:
    out = tmp_path / "f"
    toy_fields(pictures, out)
    for pattern, spoil in (
        ("*.npy", lambda path: np.save(path, np.zeros(3))),
        ("*.parquet", lambda path: pd.DataFrame({"unit": [0]}).to_parquet(path)),
    ):
        path = next((out / "parts").glob(pattern))
        whole = path.read_bytes()
        spoil(path)
        with pytest.raises(sp.InputError, match=f"{path.name}: cannot be read: .* expected"):
            toy_fields(pictures, out)
        path.write_bytes(whole)


def test_a_field_of_one_pixel_has_no_shape() -> None:
    model = model_of(Pointwise(nn.Conv2d(3, 4, 1)).eval(), 8)
    with pytest.raises(sp.InputError, match="a cell sees too few pixels to have a shape"):
        measure_window(model, model.layer("block"))


def test_two_networks_are_compared(pictures: Stimuli, tmp_path: Path) -> None:
    backbone = sp.Backbone("squeezenet1_0", "random", input_size=(48, 48))
    recipe = sp.FieldRecipe(best=2, noise=8)
    arguments = (pictures, backbone, backbone)
    found = sp.fields(*arguments, layers="features.1", out=tmp_path / "f", recipe=recipe)
    assert (found.shares["change"] == 0).all()
    assert found.networks["after"] == "squeezenet1_0, random"
    figure = sp.draw_fields(found, tmp_path / "fields.png", most=3)
    assert len(figure.subfigs) == 1
    assert (tmp_path / "fields.png").stat().st_size > 10_000
    with pytest.raises(sp.InputError, match="expected 96, 7 and 2 as before"):
        sp.fields(
            *(pictures, backbone, sp.Backbone("squeezenet1_1", "random", input_size=(48, 48))),
            layers="features.1",
            out=tmp_path / "f",
            recipe=recipe,
        )


def test_bad_options_are_one_line(pictures: Stimuli, tmp_path: Path, command) -> None:
    call = ("probe", "fields", "nets:filters", pictures.root)
    options = {"cwd": tmp_path, "env": _environment(), "check": 2}
    for extra, said in (
        (("--best", "1"), "best 1: expected 2 or more, for two halves"),
        (("--most", "0"), "--most 0: expected 1 or more"),
        (("--input-size", "20"), "filters.1 has no receptive fields to describe"),
        (("-o", pictures.root), "exists and holds no fields; choose another --out"),
        (("--layers", "nothing"), "no layer matches 'nothing'"),
    ):
        size = () if "--input-size" in extra else ("--input-size", "48")
        done = command(*call, *extra, *size, **options)
        assert said in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
