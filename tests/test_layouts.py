"""How outputs are laid out, measured: toy networks whose maps are known, of one size and of any."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from salprobe.datasets.errors import InputError
from salprobe.probe.layers.layers import LeftOut, grouped, reading
from salprobe.probe.layers.layouts import second_size
from salprobe.probe.layers.trace import survey, trace
from salprobe.probe.runs.run import Run

SQUARE, WIDE = (64, 64), (64, 96)


class Apply(nn.Module):
    """A function as a module, so that its output is a layer."""

    def __init__(self, function: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> object:
        return self.function(x)


class Net(nn.Module):
    """A convolution, and its maps laid out in another way; the network may take one size only."""

    def __init__(self, function: Callable, size: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 12, 8, stride=8)
        self.other = Apply(function)
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert self.size in (None, tuple(x.shape[2:]))
        self.other(self.maps(x))
        return x.mean((2, 3))


def tokens(x: torch.Tensor, prefix: int = 0, suffix: int = 0) -> torch.Tensor:
    """Put tokens around the cells that differ from picture to picture, as a class token does."""
    more = x.mean((2, 3))[:, None]
    cells = x.flatten(2).transpose(1, 2)
    return torch.cat([more.expand(-1, prefix, -1), cells, more.expand(-1, suffix, -1)], 1)


def windows(x: torch.Tensor) -> torch.Tensor:
    return x.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 4, 5, 1).reshape(-1, 4, 12)


def windows_in_a_row(x: torch.Tensor) -> torch.Tensor:
    return windows(x).reshape(len(x), -1, 12)


def shuffled(x: torch.Tensor) -> torch.Tensor:
    cells = tokens(x)
    order = torch.randperm(cells.shape[1], generator=torch.Generator().manual_seed(1))
    return cells[:, order]


def shuffled_maps(x: torch.Tensor) -> torch.Tensor:
    return shuffled(x).transpose(1, 2).reshape(x.shape)


def attended(x: torch.Tensor) -> torch.Tensor:
    """Return the output of attention alone: nearly the same for all tokens."""
    cells = tokens(x, prefix=1)
    return (cells @ cells.transpose(1, 2) / 1000).softmax(-1) @ cells


READ = {
    "NCHW": lambda x: x + 0,
    "NHWC": lambda x: x.permute(0, 2, 3, 1),
    "NCWH": lambda x: x.transpose(2, 3),
    "NWHC": lambda x: x.permute(0, 3, 2, 1),
    "HWNC": lambda x: x.permute(2, 3, 0, 1),
    "NTC": tokens,
    "NTC 1 0": lambda x: tokens(x, 1),
    "NTC 2 0": lambda x: tokens(x, 2),
    "NTC 5 0": lambda x: tokens(x, 5),
    "NTC 0 1": lambda x: tokens(x, 0, 1),
    "TNC": lambda x: tokens(x).transpose(0, 1),
    "TNC 1 0": lambda x: tokens(x, 1).transpose(0, 1),
    "NCT": lambda x: x.flatten(2),
}

REFUSED = {
    "windows": (windows, "no axis counts the images"),
    "windows in a row": (windows_in_a_row, "not in the picture's order"),
    "shuffled": (shuffled, "not in the picture's order"),
    "shuffled maps": (shuffled_maps, "not in the picture's order"),
    "columns": (lambda x: tokens(x.transpose(2, 3)), "not in the picture's order"),
    "flipped": (lambda x: tokens(x.flip(2)), "not in the picture's order"),
    "heads": (lambda x: tokens(x).unflatten(2, (3, 4)).transpose(1, 2), "axes|order"),
    "no batch": (lambda x: x[0], "no axis counts the images"),
    "tuple": (lambda x: (x, None), "not a tensor"),
    "five axes": (lambda x: x.unflatten(1, (3, 4)), "more axes"),
}


def net(function: Callable, size: tuple[int, int], *, fixed: bool) -> nn.Module:
    torch.manual_seed(3)
    return Net(function, size if fixed else None).eval()


@pytest.mark.parametrize("fixed", [False, True], ids=["any size", "one size"])
@pytest.mark.parametrize("size", [SQUARE, WIDE], ids=str)
@pytest.mark.parametrize("name", READ)
def test_every_layout_is_read_as_the_maps_it_holds(
    name: str, size: tuple[int, int], fixed: bool
) -> None:
    network = net(READ[name], size, fixed=fixed)
    maps, other = trace(network, size)
    layout, *ends = name.split()
    assert (other.layout, [str(other.prefix), str(other.suffix)]) == (layout, ends or ["0", "0"])
    assert (other.units, other.height, other.width) == (12, size[0] // 8, size[1] // 8)
    got = {}
    with torch.inference_mode(), reading(network, [maps, other]) as forward:
        forward(torch.rand(2, 3, *size), lambda layer, x: got.update({layer.name: x.clone()}))
    assert torch.equal(got["maps"], got["other"])


@pytest.mark.parametrize("fixed", [False, True], ids=["any size", "one size"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_left_out_with_its_name(name: str, fixed: bool) -> None:
    function, reason = REFUSED[name]
    found = survey(net(function, WIDE, fixed=fixed), WIDE)
    assert [layer.name for layer in found.layers] == ["maps"]
    (left_out,) = found.left_out
    assert left_out.module == "other"
    assert any(part in left_out.reason for part in reason.split("|"))
    with pytest.raises(InputError, match="other gives no maps that can be read: "):
        found.select(["oth*"])


def test_attention_alone_is_read_although_it_gives_all_tokens_much_of_the_same() -> None:
    _, other = trace(net(attended, SQUARE, fixed=True), SQUARE)
    assert (other.layout, other.prefix, other.height, other.width) == ("NTC", 1, 8, 8)


def test_numbers_of_the_whole_image_are_no_maps() -> None:
    for function in (lambda x: x.mean((2, 3)), lambda x: x.mean((2, 3), keepdim=True)):
        found = survey(net(function, SQUARE, fixed=False), SQUARE)
        assert ([one.name for one in found.layers], found.left_out) == (["maps"], [])


def test_maps_that_do_not_depend_on_the_picture_yet_are_maps_where_they_grow() -> None:
    """As where a normalisation begins with weights of zero."""
    layers = trace(net(lambda x: (x * 0).permute(0, 2, 3, 1), SQUARE, fixed=False), SQUARE)
    assert [layer.layout for layer in layers] == ["NCHW", "NHWC"]
    found = survey(net(lambda x: x * 0, SQUARE, fixed=True), SQUARE)
    assert [one.module for one in found.left_out] == ["other"]


class OneByOne(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 12, 8, stride=8)
        self.each = nn.Conv2d(12, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.each(maps) for maps in self.maps(x)]).mean((2, 3))


def test_a_module_called_for_each_image_is_left_out() -> None:
    found = survey(OneByOne().eval(), SQUARE)
    assert [layer.name for layer in found.layers] == ["maps"]
    assert found.left_out[0].module == "each"


class Resizes(nn.Module):
    """Feeds its own size to what it holds, whatever it gets."""

    def __init__(self, function: Callable) -> None:
        super().__init__()
        self.net = net(function, SQUARE, fixed=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(nn.functional.interpolate(x, SQUARE, mode="bilinear"))


def test_a_network_that_resizes_its_input_is_read() -> None:
    layers = trace(Resizes(READ["NTC 1 0"]).eval(), WIDE)
    assert [(x.layout, x.height, x.width, x.prefix) for x in layers] == [
        ("NCHW", 8, 8, 0),
        ("NTC", 8, 8, 1),
    ]


def test_padded_windows_are_not_taken_for_the_whole_picture() -> None:
    def window(x: torch.Tensor) -> torch.Tensor:
        return tokens(nn.functional.pad(x, (0, 14 - x.shape[3], 0, 14 - x.shape[2])))

    found = survey(net(window, (112, 112), fixed=False), (112, 112))
    assert [one.module for one in found.left_out] == ["other"]


def test_tokens_of_another_size_are_refused_when_they_are_read() -> None:
    network = net(tokens, SQUARE, fixed=False)
    layers = trace(network, SQUARE)
    with (
        torch.inference_mode(),
        reading(network, layers) as forward,
        pytest.raises(InputError, match="expected tokens of 8×8 cells, got 96"),
    ):
        forward(torch.rand(1, 3, *WIDE), lambda *_: None)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: (x * 100).int(), "not floating-point numbers"),
        (lambda x: x > 0, "not floating-point numbers"),
        (lambda x: torch.complex(x, x), "not floating-point numbers"),
        (lambda x: tokens(x).flatten(0, 1), "no axis counts the images"),
        (lambda x: x[:, :0], "empty"),
        (lambda x: x.to_sparse(), "not a tensor, or a sparse one"),
    ],
    ids=["integers", "truths", "complex", "folded", "without-units", "sparse"],
)
def test_what_is_no_stack_of_maps_is_said_and_hides_no_other(
    function: Callable, reason: str
) -> None:
    found = survey(net(function, SQUARE, fixed=False), SQUARE)
    assert [layer.name for layer in found.layers] == ["maps"]
    assert [(one.module, one.reason.partition(":")[0]) for one in found.left_out] == [
        ("other", reason)
    ]


def test_a_number_that_differs_between_modules_left_out_is_named() -> None:
    def left(*names: str) -> list[LeftOut]:
        return [LeftOut(name, "because", False) for name in names]

    assert grouped(left("b.0.x", "b.3.x", "b.11.x")) == [("b.{0,3,11}.x", 3, "because")]
    assert grouped(left("b.0.x")) == [("b.0.x", 1, "because")]
    assert grouped(left("b.0.c1", "b.1.c1")) == [("b.{0,1}.c1", 2, "because")]
    assert grouped(left("b.0.c1", "b.1.c2")) == [("b.*.c*", 2, "because")]
    assert grouped([*left("a.1"), LeftOut("a.2", "else", False)]) == [
        ("a.1", 1, "because"),
        ("a.2", 1, "else"),
    ]


@pytest.mark.parametrize("size", [(9, 9), (32, 32), (64, 64), (224, 224), (224, 160), (640, 896)])
def test_the_second_size_tells_height_width_and_proportions_apart(size: tuple[int, int]) -> None:
    other = second_size(size)
    assert other[0] != size[0]
    assert other[1] != size[1]
    assert abs(other[1] * size[0] / (other[0] * size[1]) - 1) >= 0.2
    assert max(other) <= 320


def test_what_is_left_out_is_said(small_world: Path, tmp_path: Path, command) -> None:
    here = {"cwd": Path(__file__).parent}
    listed = command("probe", "layers", "nets:windowed", "--input-size", "64x64", **here)
    assert listed.stdout.split() == ["*", "maps", "4", "×", "16", "×", "16"]
    reason = "no axis counts the images: windows, or one image at a time"
    assert f"left out: windows.{{0,1}} (2): {reason}" in listed.stderr.replace("\n", " ")
    run = ["probe", "run", "--masks", small_world / "masks.json", "--model", "nets:windowed"]
    run += ["--input-size", "64x64", "--out", tmp_path / "run"]
    refused = command(*run, "--layers", "windows.1", check=2, **here)
    assert f"windows.1 gives no maps that can be read: {reason}" in refused.stderr.replace(
        "\n", " "
    )
    done = command(*run, "--layers", "*", **here)
    assert "left out: windows.{0,1} (2)" in done.stderr
    assert [one.name for one in Run.open(tmp_path / "run").info.layers] == ["maps"]
