"""Backbones cut at a layer: what is left of them, and what of that is trained."""

import nets
import pytest
import torch
import torchvision

from salprobe.datasets.errors import InputError
from salprobe.probe.layers.layers import reading
from salprobe.probe.networks.heads import SaliencyModel, SceneModel, last_layer
from salprobe.probe.networks.load import add_head, load_model

ARCHITECTURES = [
    ("squeezenet1_0", "features.12", "backbone.classifier.1.weight"),
    ("resnet18", "layer4.1", "backbone.fc.weight"),
    ("densenet121", "features.denseblock4", "backbone.classifier.weight"),
    ("efficientnet_b0", "features.8.2", "backbone.classifier.1.weight"),
    ("convnext_tiny", "features.7.2", "backbone.classifier.2.weight"),
    ("swin_t", "features.7.1", "backbone.head.weight"),
    ("vit_b_16", "encoder.layers.encoder_layer_11", "backbone.heads.head.weight"),
]


@pytest.mark.parametrize(("name", "layer", "gone"), ARCHITECTURES, ids=lambda one: str(one))
def test_a_cut_backbone_gives_the_layers_own_maps(name: str, layer: str, gone: str) -> None:
    model = load_model(name, "random")
    images = torch.rand(2, 3, *model.input_size)
    chosen = last_layer(model.layers())
    assert chosen.name == layer
    seen = []
    with torch.no_grad(), reading(model.network, [chosen]) as forward:
        forward(images, lambda _layer, maps: seen.append(maps.clone()))
    assert gone in {f"backbone.{key}" for key in model.network.state_dict()}
    network = SaliencyModel(model.network, chosen, model.input_size).eval()
    with torch.no_grad():
        assert torch.equal(network.features(images), seen[0])
        expected = torch.einsum("nchw,c->nhw", seen[0], network.readout.weight[0, :, 0, 0])
        assert torch.allclose(network(images)[:, 0], expected, atol=1e-4)
    assert gone not in network.state_dict()


def test_layers_keep_their_names_when_the_network_is_trained() -> None:
    model = load_model("vgg16", "random", input_size=(64, 64))
    names = [one.name for one in model.layers()]
    network = add_head(model, "conv5_2", None)
    cut = type(model)("run", network, model.weights, model.input_size)
    expected = [*names[: names.index("conv5_2") + 1], "readout"]
    assert [one.name for one in cut.layers()] == expected
    assert [one.name for one in cut.layers() if one.default][-2:] == ["conv5_2", "readout"]


@pytest.mark.parametrize(
    ("tune", "expected"),
    [
        (0, set()),
        (1, {"28"}),
        (3, {"24", "26", "28"}),
        ("all", {str(k) for k in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}),
    ],
)
def test_exactly_the_last_convolutions_require_gradients(tune, expected: set[str]) -> None:
    model = load_model("vgg16", "random", input_size=(64, 64))
    network = add_head(model, None, None)
    assert len(network.weight_layers) == 13
    network.tune(tune)
    trained = {name for name, one in network.named_parameters() if one.requires_grad}
    convolutions = {
        f"backbone.features.{k}.{kind}" for k in expected for kind in ("weight", "bias")
    }
    assert trained == convolutions | {"readout.weight"}


def test_normalisation_is_tuned_only_with_everything_and_keeps_its_statistics() -> None:
    def network() -> SaliencyModel:
        backbone = nets.small()
        return SaliencyModel(backbone, last_layer(_layers(backbone)), (32, 32))

    some, everything = network(), network()
    some.tune(2)
    everything.tune("all")
    assert not some.backbone.two[1].weight.requires_grad
    assert everything.backbone.two[1].weight.requires_grad
    before = everything.backbone.two[1].running_mean.clone()
    everything.train()
    everything(torch.rand(4, 3, 32, 32))
    assert torch.equal(everything.backbone.two[1].running_mean, before)
    assert everything.readout.training


def test_more_layers_than_there_are_is_refused() -> None:
    model = load_model("resnet18", "random")
    network = add_head(model, None, None)
    with pytest.raises(InputError, match=r"--tune 21: expected all, or 0 to 20: layer4.1"):
        network.tune(21)
    with pytest.raises(InputError, match="no layer 'conv9_9'"):
        add_head(load_model("vgg16", "random"), "conv9_9", None)


def test_a_scene_classifier_has_three_layers_and_drops_out_only_in_training() -> None:
    torch.manual_seed(0)
    backbone = torchvision.models.squeezenet1_0().eval()
    chosen = last_layer(load_model("squeezenet1_0", "random").layers())
    network = SceneModel(backbone, chosen, (64, 64), 7)
    linear = [one for one in network.classifier if isinstance(one, torch.nn.Linear)]
    assert [one.out_features for one in linear] == [512, 512, 7]
    images = torch.rand(2, 3, 64, 64)
    network.eval()
    assert torch.equal(network(images), network(images))
    network.train()
    assert not torch.equal(network(images), network(images))


def _layers(network):
    from salprobe.probe.layers.trace import trace

    return trace(network.eval(), (32, 32))


@pytest.mark.parametrize(
    ("name", "says"), [("compiled", "a ScriptModule"), ("failing", "KeyError: 'nothing'")]
)
def test_networks_that_cannot_be_read_are_refused(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_model(f"nets:{name}").layers()
