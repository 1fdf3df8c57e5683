"""Where cells look, measured; and scores of maps that do not fill their stimulus."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from salprobe.datasets.errors import InputError
from salprobe.probe.networks.activation import placed
from salprobe.probe.networks.load import Backbone, model_of_module
from salprobe.probe.networks.registration import measure_registration
from salprobe.probe.records.run_info import Registration
from salprobe.probe.runs.inputs import layers_of
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run
from salprobe.probe.scoring.nss import Targets, region_nss
from salprobe.probe.sources.description import Network


def pictures(count: int = 3) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (96, 96, 3), np.uint8)) for _ in range(count)]


class Strided(nn.Module):
    """Two strided convolutions without padding, positive weights, and maps of the whole picture."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 4, 5, stride=2)
        self.two = nn.Conv2d(4, 4, 3, stride=2)
        self.whole = nn.Conv2d(4, 4, 1)
        with torch.no_grad():
            for convolution in (self.one, self.two):
                convolution.weight.fill_(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.two(self.one(x))
        return self.whole(maps + 100 * maps.mean((2, 3), keepdim=True))


def test_cells_lie_where_kernels_and_strides_put_them() -> None:
    model = model_of_module(Network(Strided(), size=(96, 96)))
    layers = {layer.name: layer for layer in model.layers()}
    found = measure_registration(model, list(layers.values()), pictures())
    # A cell's centre: half a kernel from the edge, then a stride further for each cell.
    for name, first, stride in (("one", 2.5, 2), ("two", 2.5 + 2 * 1, 4)):
        for start, step in found[name].axes():
            assert step * 96 == pytest.approx(stride, abs=1e-4)
            assert (start + step / 2) * 96 == pytest.approx(first, abs=1e-3)
    assert "whole" in layers and "whole" not in found  # its cells look at the same place


class Undifferentiable(Strided):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.detach())


def test_a_network_without_gradients_is_refused() -> None:
    model = model_of_module(Network(Undifferentiable(), size=(96, 96)))
    with pytest.raises(InputError, match="Undifferentiable: cannot be differentiated"):
        measure_registration(model, model.layers()[:1], pictures(1))


class Flat(Strided):
    """A network with a layer that no picture changes, with and without parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.ones = nn.Identity()
        self.fixed = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.one(x)
        return self.ones(torch.ones_like(maps)) + self.fixed(torch.ones_like(maps)) + maps


def test_a_layer_that_no_picture_changes_hides_no_other() -> None:
    model = model_of_module(Network(Flat(), size=(96, 96)))
    # Maps that are the same for all pictures are not listed by themselves.
    like = model.layer("one")
    layers = [replace(like, name=name, module=name) for name in ("one", "ones", "fixed")]
    found = measure_registration(model, layers, pictures(1))
    assert list(found) == ["one"]


def slowly(maps: np.ndarray, lie: Registration, x: np.ndarray, y: np.ndarray, size) -> np.ndarray:
    """Resize every map by interpolating between its cells' centres, then NSS: float64."""
    axes = []
    for count, (start, step), length in zip(maps.shape[1:], lie.axes(), size, strict=True):
        centres = start + (np.arange(count) + 0.5) * step
        axes.append((centres, (np.arange(length) + 0.5) / length))
    (rows, down), (columns, across) = axes
    scores = []
    for one in maps.astype(np.float64):
        tall = np.stack([np.interp(down, rows, column) for column in one.T], 1)
        whole = np.stack([np.interp(across, columns, row) for row in tall])
        scores.append((whole[y, x].mean() - whole.mean()) / whole.std())
    return np.array(scores)


@given(
    start=st.tuples(st.floats(-0.2, 0.3), st.floats(-0.2, 0.3)),
    scale=st.tuples(st.floats(0.6, 1.5), st.floats(0.6, 1.5)),
    seed=st.integers(0, 99),
)
def test_scores_are_those_of_maps_interpolated_between_their_cells(start, scale, seed) -> None:
    rng = np.random.default_rng(seed)
    maps, size = rng.normal(size=(4, 6, 7)), (40, 31)
    lie = Registration(*start, scale[0] / 6, scale[1] / 7)
    x, y = rng.permutation(31)[:5], rng.permutation(40)[:5]
    expected = slowly(maps, lie, x, y, size)
    tensor = torch.from_numpy(maps[None]).float()
    found = region_nss(tensor, Targets([[(x, y)]], [size]), lie)
    np.testing.assert_allclose(found[0], expected, atol=2e-5)


def test_a_plain_registration_is_none() -> None:
    rng = np.random.default_rng(1)
    maps = torch.from_numpy(rng.normal(size=(1, 3, 5, 8))).float()
    targets = Targets([[(np.array([3, 9]), np.array([4, 2]))]], [(20, 24)])
    plain = region_nss(maps, targets)
    torch.testing.assert_close(region_nss(maps, targets, Registration(0, 0, 1 / 5, 1 / 8)), plain)
    torch.testing.assert_close(placed(maps, Registration(0, 0, 1 / 5, 1 / 8)), maps)


def test_maps_that_are_drawn_are_moved() -> None:
    maps = torch.arange(4.0).expand(1, 1, 3, 4).contiguous()
    moved = placed(maps, Registration(0, 0.25, 1 / 3, 0.25))  # a cell to the right
    torch.testing.assert_close(moved[0, 0, 0], torch.tensor([0.0, 0, 1, 2]))


def test_a_run_measures_once_and_records_it(gaze_world: Path, tmp_path: Path) -> None:
    network = Network(Strided().eval(), size=(96, 96))

    def run(**options) -> Run:
        return probe(
            gaze_world / "masks.json",
            root=gaze_world,
            model=network,
            layers=["one", "two"],
            out=tmp_path / "run",
            **options,
        )

    first = run(registration="measured")
    lie = [layer.registration for layer in first.info.layers]
    assert first.info.parameters.registration == "measured"
    assert lie[1].rows * 96 == pytest.approx(4, abs=1e-4)
    with pytest.raises(InputError, match="registration: measured, now plain"):
        run()
    # Resumed, it goes on with what was measured.
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    content["layers"][1]["registration"] = [0.0, 0.0, 0.05, 0.05]
    (tmp_path / "run" / "run.json").write_text(json.dumps(content))
    again = run(registration="measured")
    assert again.info.layers[1].registration == (0, 0, 0.05, 0.05)


def test_a_runs_layers_know_where_their_maps_lie(gaze_world: Path, tmp_path: Path) -> None:
    backbone = Backbone("nets:small", input_size=(36, 48))
    run = probe(
        gaze_world / "masks.json",
        root=gaze_world,
        model=backbone,
        layers=["one.0"],
        registration="measured",
        out=tmp_path / "run",
    )
    layer = layers_of(run, backbone.load())["one.0"]
    assert layer.registration == run.info.layers[0].registration != None  # noqa: E711
