"""Networks, their layers and their weights."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from salprobe.datasets.errors import InputError
from salprobe.probe.layers.layers import Layer, reading, select
from salprobe.probe.layers.trace import trace
from salprobe.probe.networks.load import load_model


class Toy(nn.Module):
    """Two convolutions, one in-place ReLU called twice, a branch that depends on the input."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(4, 5, 3, stride=2)
        self.head = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.first(x))
        x = self.relu(self.second(x))
        if x.sum() < 0:
            raise AssertionError("cannot be")
        return self.head(x.mean((2, 3)))


def toy() -> nn.Module:
    return Toy()


def hooks_of(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


def test_a_module_called_twice_is_two_layers() -> None:
    layers = trace(Toy().eval(), (9, 9))
    assert [(x.name, x.units, x.height) for x in layers] == [
        ("first", 4, 9),
        ("relu:1", 4, 9),
        ("second", 5, 4),
        ("relu:2", 5, 4),
    ]


def test_maps_are_read_before_an_in_place_relu_changes_them() -> None:
    network = Toy().eval()
    layers = trace(network, (9, 9))
    batch = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    got = {}
    with torch.inference_mode(), reading(network, layers) as forward:
        forward(batch, lambda layer, maps: got.update({layer.name: maps.clone()}))
        expected = network.first(batch)
    torch.testing.assert_close(got["first"], expected)
    assert (got["first"] < 0).any()
    torch.testing.assert_close(got["relu:1"], expected.clamp_min(0))


def test_the_forward_pass_stops_after_the_last_layer() -> None:
    network = Toy().eval()
    network.head.forward = lambda x: pytest.fail("went on")  # type: ignore[method-assign]
    layer = Layer("second", "second", 1, 5, 4, 4, "NCHW")
    seen = []
    with torch.inference_mode(), reading(network, [layer]) as forward:
        forward(torch.zeros(1, 3, 9, 9), lambda layer, maps: seen.append(maps.shape))
    assert seen == [(1, 5, 4, 4)]


@pytest.mark.parametrize("fails", [False, True])
def test_hooks_are_gone_afterwards(fails: bool) -> None:
    network = Toy().eval()
    layers = trace(network, (9, 9))
    assert hooks_of(network) == 0

    def consume(layer: Layer, maps: torch.Tensor) -> None:
        if fails:
            raise KeyboardInterrupt

    try:
        with torch.inference_mode(), reading(network, layers) as forward:
            assert hooks_of(network) == 3
            forward(torch.zeros(1, 3, 9, 9), consume)
    except KeyboardInterrupt:
        assert fails
    assert hooks_of(network) == 0


def test_a_network_that_cannot_run_leaves_no_hooks() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3))
    with pytest.raises(InputError, match="the network does not run on a 9×9 image"):
        trace(network, (9, 9))
    assert hooks_of(network) == 0


def test_vgg_has_the_papers_names() -> None:
    layers = load_model("vgg16", "random").layers()
    assert [layer.name for layer in layers] == [
        f"conv{block}_{number}"
        for block, count in enumerate((2, 2, 3, 3, 3), start=1)
        for number in range(1, count + 1)
    ]
    assert [layer.name for layer in select(layers, [])] == [
        f"conv{block}_{number}" for block in (4, 5) for number in (1, 2, 3)
    ]
    last = layers[-1]
    assert (last.units, last.height, last.module) == (512, 14, "features.29")


def test_pre_relu_is_the_relus_input() -> None:
    model = load_model("vgg11_bn", "random", input_size=(64, 64))
    batch = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    got = {}
    for pre_relu in (True, False):
        layers = select(model.layers(pre_relu=pre_relu), ["conv3_2"])
        with torch.inference_mode(), reading(model.network, layers) as forward:
            forward(batch, lambda layer, maps, key=pre_relu: got.update({key: maps.clone()}))
    assert (got[True] < 0).any()
    torch.testing.assert_close(got[True].clamp_min(0), got[False])
    with pytest.raises(InputError, match="--pre-relu is for VGG"):
        load_model("resnet18", "random").layers(pre_relu=True)


FAMILIES = [
    ("resnet18", "layer4.1", (512, 7, 7)),
    ("squeezenet1_0", "features.12", (512, 13, 13)),
    ("densenet121", "features.denseblock4", (1024, 7, 7)),
    ("convnext_tiny", "features.7.2", (768, 7, 7)),
    ("convnext_tiny", "features.1.0.block.4", (384, 56, 56)),
    ("swin_t", "features.7.1", (768, 7, 7)),
    ("vit_b_32", "encoder.layers.encoder_layer_11", (768, 7, 7)),
    ("maxvit_t", "blocks.3", (512, 7, 7)),
    ("mobilenet_v3_small", "features.11", (96, 7, 7)),
    ("googlenet", "inception5b", (1024, 7, 7)),
    ("shufflenet_v2_x0_5", "stage4.3", (192, 7, 7)),
]


@pytest.mark.parametrize(("name", "layer", "shape"), FAMILIES)
def test_every_family_gives_maps(name: str, layer: str, shape: tuple) -> None:
    model = load_model(name, "random")
    found = {one.name: one for one in model.layers()}
    assert (found[layer].units, found[layer].height, found[layer].width) == shape
    default = select(model.layers(), [])
    assert 4 <= len(default) <= 60
    seen: dict[str, torch.Size] = {}
    size = model.input_size
    with torch.inference_mode(), reading(model.network, default) as forward:
        forward(torch.rand(1, 3, *size), lambda one, maps: seen.update({one.name: maps.shape}))
    for one in default:
        assert seen[one.name] == (1, one.units, one.height, one.width)


def test_tokens_are_maps_in_reading_order() -> None:
    """A ViT's patch embedding, as tokens, is its convolution's map."""
    model = load_model("vit_b_32", "random")
    layers = {layer.name: layer for layer in model.layers()}
    model.network.encoder.pos_embedding.data.zero_()
    got = {}
    wanted = [layers["conv_proj"], layers["encoder.dropout"]]
    with torch.inference_mode(), reading(model.network, wanted) as forward:
        batch = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
        forward(batch, lambda layer, maps: got.update({layer.name: maps.clone()}))
    torch.testing.assert_close(got["encoder.dropout"], got["conv_proj"])


def test_select_by_wildcard() -> None:
    layers = trace(Toy().eval(), (9, 9))
    assert [x.name for x in select(layers, ["relu*", "first"])] == ["first", "relu:1", "relu:2"]
    with pytest.raises(InputError, match="no layer matches 'conv9'"):
        select(layers, ["conv9"])


def test_your_own_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mynets", sys.modules[__name__])
    model = load_model("mynets:toy", input_size=(9, 9))
    assert model.weights.source == "factory"
    assert len(model.weights.sha256 or "") == 64
    with pytest.raises(InputError, match="mynets:nothing: AttributeError"):
        load_model("mynets:nothing")
    with pytest.raises(InputError, match=r"no_such: ModuleNotFoundError|no_such:x"):
        load_model("no_such:x")
    with pytest.raises(InputError, match=r"returned str, expected torch\.nn\.Module"):
        monkeypatch.setattr(sys.modules[__name__], "toy", lambda: "net")
        load_model("mynets:toy")


def test_random_weights_are_the_seeds() -> None:
    one, same, other = (load_model("squeezenet1_0", "random", seed=seed) for seed in (0, 0, 1))
    assert one.weights == same.weights
    assert one.weights != other.weights


def test_real_weights_load(squeezenet_weights: Path) -> None:
    model = load_model("squeezenet1_0", str(squeezenet_weights))
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    assert model.weights.file == squeezenet_weights.name


def test_default_weights_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"cannot be downloaded .*squeezenet1_0-.*--weights FILE"):
        load_model("squeezenet1_0")
    assert capsys.readouterr().out == ""


def test_no_such_model() -> None:
    with pytest.raises(InputError, match="no model 'vgg17'"):
        load_model("vgg17")
    with pytest.raises(InputError, match="gabor has no weights"):
        load_model("gabor", "random")
