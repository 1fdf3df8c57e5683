"""CMRNet: its block by hand, its encoders' weights, and a training."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision

import salprobe as sp
from salprobe.probe.architectures.cmrnet import CrossBlock
from salprobe.probe.networks.model import Model


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """A file such as ImageNet's, of torchvision's SqueezeNet."""
    torch.manual_seed(3)
    path = tmp_path / "squeezenet.pth"
    torch.save(torchvision.models.squeezenet1_0(weights=None).state_dict(), path)
    return path


def test_each_filter_of_the_second_stage_sees_both_of_the_first() -> None:
    torch.manual_seed(0)
    block, maps = CrossBlock(16), torch.randn(2, 16, 7, 9)

    def stage(filters, *inputs):
        kernel, norm = filters[0].weight, filters[1]
        out = F.conv2d(torch.cat(inputs, 1), kernel, padding=kernel.shape[-1] // 2)
        grouped = out.view(2, 8, -1)
        grouped = (grouped - grouped.mean(2, keepdim=True)) / (
            grouped.var(2, keepdim=True, correction=0) + 1e-5
        ).sqrt()
        return (grouped.view_as(out) * norm.weight[:, None, None] + norm.bias[:, None, None]).relu()

    small, large = stage(block.small1, maps), stage(block.large1, maps)
    small, large = stage(block.small2, small, large), stage(block.large2, large, small)
    fused = F.conv2d(torch.cat([small, large], 1), block.fuse.weight, block.fuse.bias)
    torch.testing.assert_close(block(maps), maps + fused)
    assert [block.small1[0].kernel_size, block.large2[0].kernel_size] == [(3, 3), (5, 5)]


@pytest.mark.parametrize("name", ["cmrnet", "cmrnet-squeezenet1_0"])
def test_it_has_fewer_than_ten_million_parameters_and_ends_in_a_block(name: str) -> None:
    model = sp.load_model(name, input_size=(96, 128))
    assert sum(one.numel() for one in model.network.parameters()) < 10e6
    last = [layer for layer in model.layers() if layer.default][-1]
    assert (last.name, last.units) == ("block", 64)
    assert last.height == pytest.approx(96 / 8, abs=1)
    again = sp.load_model(name, input_size=(96, 128))
    assert again.weights.sha256 == model.weights.sha256  # drawn with the seed
    assert sp.load_model(name, seed=1).weights.sha256 != model.weights.sha256


def features(model: Model) -> torch.Tensor:
    return model.network.encoder.features[0].weight  # type: ignore[union-attr, index]


def test_the_encoder_begins_with_imagenets_weights(imagenet: Path, tmp_path: Path) -> None:
    model = sp.load_model("cmrnet-squeezenet1_0", str(imagenet))
    expected = torch.load(imagenet, weights_only=True)["features.0.weight"]
    assert torch.equal(features(model), expected)
    assert model.weights.source == "file" and model.weights.file == "squeezenet.pth"
    with torch.no_grad():
        features(model).mul_(2)
    whole = tmp_path / "whole.pth"
    torch.save(model.network.state_dict(), whole)
    again = sp.load_model("cmrnet-squeezenet1_0", str(whole), seed=5)
    for key, value in again.network.state_dict().items():
        assert torch.equal(value, model.network.state_dict()[key]), key


def test_encoders_weights_that_do_not_fit_are_refused(imagenet: Path, tmp_path: Path) -> None:
    state = torch.load(imagenet, weights_only=True)
    del state["features.12.squeeze.bias"]
    torch.save(state, tmp_path / "less.pth")
    says = "do not fit CMRNet's encoder; missing: features.12.squeeze.bias"
    with pytest.raises(sp.InputError, match=says):
        sp.load_model("cmrnet-squeezenet1_0", str(tmp_path / "less.pth"))
    with pytest.raises(sp.InputError, match="expected keys such as stem"):
        sp.load_model("cmrnet", str(imagenet))


def test_it_is_trained_and_is_then_a_saliency_model(
    gaze_world: Path, tmp_path: Path, imagenet: Path
) -> None:
    dataset = sp.load_dataset(str(gaze_world))
    for name, weights, tune in (
        ("cmrnet", "default", "all"),
        ("cmrnet-squeezenet1_0", str(imagenet), 13),
    ):
        out = tmp_path / name
        backbone = sp.Backbone(name, weights, input_size=(64, 80))
        recipe = sp.Recipe(tune=tune, epochs=2, backbone_rate=1e-3)
        info = sp.train(dataset, recipe, out, model=backbone)
        assert info.parameters.backbone.layer == "block"
        encoder = [one for one in info.tuned if one.startswith("backbone.encoder")]
        assert bool(encoder) == (tune == "all")
        assert "backbone.deep.0.weight" in info.tuned
        picture = np.asarray(dataset.stimuli.read(dataset.stimuli[0]))
        saliency = sp.saliency_map(str(out), picture)
        assert saliency.shape == picture.shape[:2] and saliency.std() > 0
    with pytest.raises(sp.InputError, match="returns one map"):
        sp.saliency_map("cmrnet", picture)
