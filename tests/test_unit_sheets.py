"""Sheets of units: fields, projections and patches of networks whose answers are known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from toys import Whole

import salprobe as sp
from salprobe.datasets.errors import InputError
from salprobe.datasets.progress import SILENT
from salprobe.datasets.stimuli import Stimuli
from salprobe.probe.cli.main import app
from salprobe.probe.inside.backward import driving, randomised
from salprobe.probe.inside.extent import Fields
from salprobe.probe.inside.preferred import _kept
from salprobe.probe.inside.sheet import effective_side
from salprobe.probe.inside.top import Peak, find_top
from salprobe.probe.networks.activation import activation
from salprobe.probe.networks.device import resolve_device
from salprobe.probe.networks.load import model_of_module
from salprobe.probe.networks.model import Model
from salprobe.probe.runs.run import Run


def model_from(network: nn.Module, size: tuple[int, int] = (48, 64)) -> Model:
    plain = {"mean": (0.0, 0.0, 0.0), "sd": (1.0, 1.0, 1.0)}
    return model_of_module(sp.Network(network.eval(), size=size, **plain))


class Chain(nn.Module):
    """Convolutions and pooling one after another."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*modules)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).mean((2, 3))


@pytest.mark.parametrize(
    ("modules", "size", "stride"),
    [
        ([nn.Conv2d(3, 4, 3, padding=1)], 3, 1),
        ([nn.Conv2d(3, 4, 3, padding=2, dilation=2)], 5, 1),
        ([nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1)], 8, 2),
        ([nn.Conv2d(3, 4, 7, stride=2, padding=3), nn.ReLU(True), nn.Conv2d(4, 4, 3)], 11, 2),
        ([nn.AvgPool2d(4, 4)], 4, 4),
    ],
)
def test_fields_are_those_of_the_arithmetic(
    modules: list[nn.Module], size: int, stride: int
) -> None:
    model = model_from(Chain(*modules))
    layer = [one for one in model.layers() if one.name.startswith("body")][-1]
    reach = Fields(model, layer)
    assert reach.size == (size, size)
    row, column = reach.middle
    top, left, _, _ = reach.of(row, column)
    assert (reach.step[0], reach.step[1]) == (stride, stride)
    assert reach.of(row + 2, column - 1)[:2] == (top + 2 * stride, left - stride)


def test_a_field_is_where_gradients_are_not_zero() -> None:
    torch.manual_seed(0)
    model = model_from(Chain(nn.Conv2d(3, 4, 5, stride=2), nn.Conv2d(4, 2, 3, stride=2)))
    layer = model.layer("body.1")
    reach = Fields(model, layer)
    image = torch.zeros(1, 3, 48, 64, requires_grad=True)
    value = model.network.body(image)[0, 0, *reach.middle]  # type: ignore[operator]
    (gradient,) = torch.autograd.grad(value, image)
    rows, columns = (np.flatnonzero(gradient[0].abs().sum((0, k)).numpy()) for k in (2, 1))
    assert reach.of(*reach.middle) == (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)


def test_a_cell_that_sees_everything_has_the_whole_picture() -> None:
    model = model_from(Whole())
    fields = Fields(model, model.layer("all"))
    assert fields.size == (48, 64)
    assert fields.of(0, 0) == (0, 0, 48, 64)


def test_fields_that_the_border_cuts_are_each_measured() -> None:
    model = model_from(Chain(nn.Conv2d(3, 2, 41, stride=4, padding=20)))
    fields = Fields(model, model.layer("body.0"))
    for row, column in ((0, 0), (11, 15), (3, 9)):
        top, left = 4 * row - 20, 4 * column - 20
        expected = max(top, 0), max(left, 0), min(top + 41, 48), min(left + 41, 64)
        assert fields.of(row, column) == expected


class Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 2, 4, stride=4)
        self.ones = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.maps(x)
        return self.ones(torch.ones_like(maps)).mean((2, 3)) + maps.mean((2, 3))


def test_what_no_pixel_reaches_has_no_field() -> None:
    model = model_from(Constant())
    like = replace(model.layer("maps"), name="ones", module="ones")
    with pytest.raises(InputError, match="ones: no pixel reaches its cells"):
        Fields(model, like)


class Attending(nn.Module):
    """Self-attention between the cells of two units."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return self.attention(tokens, tokens, tokens)[0].transpose(1, 2).reshape(x.shape)


@pytest.mark.parametrize(
    "other",
    [nn.ReLU6(), nn.SiLU(), nn.Hardswish(), nn.LeakyReLU(), nn.GELU(), nn.Softmax(1), Attending()],
)
def test_with_other_nonlinearities_the_rules_are_not_defined(other: nn.Module) -> None:
    model = model_from(Chain(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3), other))
    last = model.layers()[-1]
    with pytest.raises(InputError, match="comes before it, so guided, which is of ReLUs"):
        driving(model, last, 0, (4, 4), torch.rand(1, 3, 48, 64), "guided")
    first = model.layer("body.1")
    driving(model, first, 0, (4, 4), torch.rand(1, 3, 48, 64), "guided")


def test_of_a_linear_layer_deconvnet_and_guided_backprop_are_its_kernel() -> None:
    torch.manual_seed(1)
    kernel = nn.Conv2d(3, 2, 5, padding=2)
    model = model_from(Chain(kernel, nn.ReLU()))
    layer = model.layer("body.1")
    image = torch.rand(1, 3, 48, 64)
    maps = torch.relu(kernel(image))[0, 1]
    row, column = divmod(int(maps.argmax()), 64)
    row, column = min(max(row, 2), 45), min(max(column, 2), 61)
    assert maps[row, column] > 0
    for rule in ("gradient", "deconvnet", "guided"):
        value, shown = driving(model, layer, 1, (row, column), image, rule)
        assert value == pytest.approx(maps[row, column].item(), rel=1e-5)
        cut = shown[:, row - 2 : row + 3, column - 2 : column + 3]
        assert torch.allclose(cut, kernel.weight[1], atol=1e-6)
        shown[:, row - 2 : row + 3, column - 2 : column + 3] = 0
        assert not shown.any()


class Ways(nn.Module):
    """Two convolutions with a ReLU written in one of several ways between them."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.one, self.two = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 3, 3, padding=1)
        self.module, self.inplace = nn.ReLU(), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.one(x)
        x = {
            "module": lambda: self.module(x),
            "in place": lambda: self.inplace(x),
            "function": lambda: F.relu(x),
            "method": lambda: x.relu(),
            "function in place": lambda: F.relu(x, inplace=True),
            "torch": lambda: torch.relu(x),
        }[self.way]()
        return self.two(x).mean((2, 3))


@pytest.mark.parametrize(
    "way", ["module", "in place", "function", "method", "function in place", "torch"]
)
@pytest.mark.parametrize("rule", ["gradient", "deconvnet", "guided"])
def test_a_relu_passes_back_what_the_rule_says_however_it_is_written(way: str, rule: str) -> None:
    torch.manual_seed(2)
    network = Ways(way)
    model = model_from(network)
    image, cell = torch.randn(1, 3, 48, 64), (20, 30)
    _, shown = driving(model, model.layer("two"), 0, cell, image, rule)  # type: ignore[arg-type]
    # By hand: the second kernel's weights arrive at the hidden maps around the cell.
    hidden = network.one(image)[0].detach()
    arriving = torch.zeros_like(hidden)
    for row in range(3):
        for column in range(3):
            weight = network.two.weight[0, :, row, column].detach()
            arriving[:, cell[0] + row - 1, cell[1] + column - 1] = weight
    passed = arriving.clone()
    if rule in ("gradient", "guided"):
        passed[hidden <= 0] = 0
    if rule in ("deconvnet", "guided"):
        passed[arriving < 0] = 0
    expected = F.conv_transpose2d(passed[None], network.one.weight, padding=1)[0]
    assert torch.allclose(shown, expected, atol=1e-6)


def test_without_a_relu_there_is_nothing_to_guide() -> None:
    model = model_from(Chain(nn.Conv2d(3, 2, 3)))
    layer = model.layer("body.0")
    with pytest.raises(InputError, match="no ReLU comes before it, so guided is not defined"):
        driving(model, layer, 0, (4, 4), torch.rand(1, 3, 48, 64), "guided")
    driving(model, layer, 0, (4, 4), torch.rand(1, 3, 48, 64), "gradient")


def test_shuffled_weights_are_the_same_numbers_elsewhere() -> None:
    model = model_from(Ways("module"))
    before = {name: one.clone() for name, one in model.network.state_dict().items()}
    other = randomised(model, 3).network.state_dict()
    for name, one in model.network.state_dict().items():
        assert torch.equal(one, before[name])  # the model itself is left alone
        assert torch.equal(one.flatten().sort().values, other[name].flatten().sort().values)
    assert not torch.equal(before["one.weight"], other["one.weight"])
    again = randomised(model, 3).network.state_dict()
    assert all(torch.equal(again[name], one) for name, one in other.items())


def test_the_effective_field_of_a_flat_gradient_is_its_side() -> None:
    model = model_from(Chain(nn.AvgPool2d(4, 4)), (64, 64))
    reach = Fields(model, model.layer("body.0"))
    stimulus = None  # only the cells matter
    gradients, peaks = [], []
    middle = reach.middle
    for row, column in (middle, (middle[0] - 3, middle[1] + 5)):
        gradient = np.zeros((64, 64))
        gradient[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 1
        gradients.append(gradient)
        peaks.append(Peak(stimulus, 1.0, row, column))  # type: ignore[arg-type]
    assert effective_side(gradients, peaks, reach) == pytest.approx(4)
    assert np.isnan(effective_side([], [], reach))


@pytest.fixture(scope="module")
def run(gaze_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return sp.probe(
        gaze_world / "masks.json",
        root=gaze_world,
        model=sp.Backbone("squeezenet1_1", "random", (48, 64)),
        layers=["features.0", "features.3"],
        out=tmp_path_factory.mktemp("sheets") / "run",
    )


def test_peaks_and_levels_are_those_of_all_maps(run: Run, gaze_world: Path) -> None:
    model = sp.load_model("squeezenet1_1", "random", input_size=(48, 64))
    layer = model.layer("features.3")
    masks = sp.load_masks(str(gaze_world / "masks.json"))
    stimuli = Stimuli(gaze_world, tuple(masks.images))
    units = [5, 0, 31]
    top = find_top(
        *(model, [layer], {layer.name: units}, stimuli, 4, resolve_device("cpu"), 4, SILENT)
    )
    maps = {one.id: activation(model, layer, stimuli.read(one)) for one in stimuli}
    for unit in units:
        found = top[layer.name].peaks[unit]
        highest = sorted(maps, key=lambda number: -maps[number][unit].max())[:4]
        assert [one.stimulus.id for one in found] == highest
        for one in found:
            own = maps[one.stimulus.id][unit]
            assert own[one.row, one.column] == pytest.approx(own.max(), rel=1e-5)
            assert one.value == pytest.approx(own.max(), rel=1e-5)
        values = np.concatenate([own[unit].ravel() for own in maps.values()])
        level = top[layer.name].levels[unit]
        assert (values > level + 1e-6).mean() <= 0.01 <= (values >= level - 1e-6).mean()


def test_sheets_are_written_once_with_their_numbers(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["unit", str(run.folder), "features.3:5", "--patches", "3", "-o", str(tmp_path / "out")]
    app([*line, "--best", "text", "-n", "1"], standalone_mode=False)
    figure = tmp_path / "out" / "features.3-5.png"
    content = json.loads(figure.with_suffix(".json").read_text())
    assert [len(content["examples"]), content["notes"]] == [3, []]
    assert content["field"]["down"] == 4
    assert set(content["nss"]) == set(run.categories)
    best = run.best_units("text", 1).iloc[0]
    assert (tmp_path / "out" / f"{best['layer']}-{best['unit']}.json").exists()
    before = figure.stat().st_mtime_ns
    figure.with_suffix(".json").touch()
    app(line, standalone_mode=False)
    assert figure.stat().st_mtime_ns == before
    assert "1 of 1 sheets are there already" in capsys.readouterr().err.replace("\n", " ")
    app([*line[:-4], "--patches", "2", *line[-2:]], standalone_mode=False)  # what it shows
    assert len(json.loads(figure.with_suffix(".json").read_text())["examples"]) == 2
    content["made_of"]["scores"] = "of another run"
    figure.with_suffix(".json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"made with other parameters \(scores, contents\)"):
        app([*line[:-4], "--patches", "2", *line[-2:]], standalone_mode=False)


def test_a_figure_without_data_is_made_anew(run: Run, tmp_path: Path) -> None:
    (tmp_path / "features.3-5.png").write_bytes(b"half")  # killed before the data were written
    (path,) = sp.unit_sheets(run, [("features.3", 5)], tmp_path, contents=sp.Contents(patches=1))
    assert path.stat().st_size > 1000
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="holds something else than sheets"):
        sp.unit_sheets(run, [("features.3", 6)], tmp_path)


def test_pictures_that_a_unit_prefers_are_made_once(run: Run, tmp_path: Path) -> None:
    unit = [("features.3", 5)]
    sp.unit_sheets(run, unit, tmp_path, contents=sp.Contents(patches=3))
    contents = sp.Contents(patches=8, prefer=("maco", "yosinski", "accentuation"))
    (figure,) = sp.unit_sheets(run, unit, tmp_path, contents=contents)
    said = json.loads(figure.with_suffix(".json").read_text())
    assert not said["notes"]
    best = said["examples"][0]["value"]
    for method, count in (("maco", 3), ("yosinski", 4), ("accentuation", 3)):
        responses = said["preferred"][method]["responses"]
        assert len(responses) == count
        assert max(responses) > (0 if method == "maco" else best)
        for number in range(1, count + 1):
            with Image.open(tmp_path / f"features.3-5.{method}-{number}.png") as picture:
                assert (picture.mode, picture.size) == ("RGBA", (15, 15))
    kept = {path: path.read_bytes() for path in tmp_path.glob("*.maco*")}
    moments = {path: path.stat().st_mtime_ns for path in kept}
    sp.unit_sheets(run, unit, tmp_path, contents=replace(contents, patches=2))
    assert {path: path.stat().st_mtime_ns for path in kept} == moments
    damaged = tmp_path / "features.3-5.maco-2.png"
    damaged.write_bytes(kept[damaged][:200])
    sp.unit_sheets(run, unit, tmp_path, contents=contents)
    assert {path: path.read_bytes() for path in kept} == kept  # the same again
    record = tmp_path / "features.3-5.maco.json"
    content = json.loads(record.read_text())
    for broken in ({"files": 5}, {"responses": ["a", "b", "c"]}, {"responses": [1.0]}):
        record.write_text(json.dumps({**content, **broken}))
        assert _kept(record, content["made_of"]) is None  # made again
    record.write_text(json.dumps(content))
    assert _kept(record, content["made_of"]) is not None
    other = replace(contents, seed=1, prefer=("maco",))
    sp.unit_sheets(run, unit, tmp_path, contents=other)
    assert damaged.read_bytes() != kept[damaged]


def test_a_unit_that_fires_nowhere_says_so(gaze_world: Path, tmp_path: Path) -> None:
    run = sp.probe(
        gaze_world / "masks.json",
        root=gaze_world,
        model="nets:silent",
        layers=["three.1"],
        out=tmp_path / "run",
    )
    (path,) = sp.unit_sheets(run, [("three.1", 2)], contents=sp.Contents(patches=2))
    content = json.loads(path.with_suffix(".json").read_text())
    assert content["notes"] == ["does not fire on any stimulus: nothing drives it"]
    assert content["field"]["effective_side"] is None


@pytest.mark.parametrize(
    ("units", "options", "message"),
    [
        (["features.3:999"], [], "has 128 units, numbered from 0; there is no unit 999"),
        (["conv:1"], [], "no layer 'conv'; there are features.0, features.3"),
        (["features.3"], [], "expected LAYER:UNIT"),
        ([], [], "no unit is named"),
        ([], ["--best", "cars"], "no category 'cars' in this run"),
        (["features.3:1"], ["--layer", "features.3"], "--layer is for --best"),
        (["features.3:1"], ["--patches", "0"], "patches 0: expected 1 or more"),
        (
            ["features.3:1"],
            ["--prefer", "lucid"],
            "prefer 'lucid': expected maco, yosinski, accentuation",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(
    run: Run, units: list[str], options: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        app(
            ["unit", str(run.folder), *units, *options, "-o", str(tmp_path / "out")],
            standalone_mode=False,
        )
