"""A first layer's colours: known spaces are found, and random filters are near none."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2yuv
from torch import nn

from salprobe.datasets.errors import InputError
from salprobe.probe.analysis.colour import colour, colour_spaces
from salprobe.probe.networks.load import model_of_module
from salprobe.probe.networks.model import Model
from salprobe.probe.sources.description import Network


def model_with(axes: np.ndarray, energy: tuple[float, ...], sd=(1.0, 1.0, 1.0)) -> Model:
    """Return a network whose first filters are random planes times some axes of colour."""
    network = nn.Sequential(nn.Conv2d(3, 30, 5, bias=False), nn.ReLU())
    rng = np.random.default_rng(0)
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    weights = np.zeros((30, 3, 5, 5))
    for unit in range(30):
        plane = rng.normal(size=(5, 5))
        plane /= np.linalg.norm(plane)
        weights[unit] = energy[unit % 3] ** 0.5 * axes[unit % 3][:, None, None] * plane
    with torch.no_grad():
        network[0].weight.copy_(torch.from_numpy(weights * np.asarray(sd)[:, None, None]))
    return model_of_module(Network(network, size=(32, 32), mean=(0.0, 0.0, 0.0), sd=sd))


# Of each space, axes orthogonal to one another that lie on it or near it.
@pytest.mark.parametrize("space", ["RGB", "YUV", "opponent", "DKL", "Lab"])
def test_the_space_of_the_filters_is_near(space: str) -> None:
    _, axes = colour_spaces()[space]
    frame = np.linalg.svd(axes)[0] @ np.linalg.svd(axes)[2]  # the nearest orthogonal axes
    found = colour(model_with(frame, (6.0, 3.0, 1.0)))
    if space in ("RGB", "YUV", "DKL"):  # the others are less orthogonal than near to each other
        assert found.spaces["space"][0] == space
    np.testing.assert_allclose(found.shares, [0.6, 0.3, 0.1], atol=1e-6)
    own = found.spaces.set_index("space").loc[space]
    expected = np.degrees(np.arccos(np.clip(np.abs((frame * axes).sum(1)), 0, 1)))
    matched = own[["angle_1", "angle_2", "angle_3"]].to_numpy(float)
    np.testing.assert_allclose(matched, expected, atol=0.05)
    assert own["angle"] == pytest.approx(expected.mean(), abs=0.05)
    assert own["chance"] < 0.05


def test_the_networks_normalisation_is_undone() -> None:
    plain = colour(model_with(np.eye(3), (6.0, 3.0, 1.0)))
    scaled = colour(model_with(np.eye(3), (6.0, 3.0, 1.0), sd=(0.5, 0.1, 0.3)))
    np.testing.assert_allclose(scaled.shares, plain.shares, rtol=1e-5)
    np.testing.assert_allclose(scaled.axes, plain.axes, atol=1e-5)


def test_energy_on_a_spaces_own_axes_is_that_of_the_filters() -> None:
    found = colour(model_with(np.eye(3), (1.0, 3.0, 6.0))).spaces.set_index("space")
    shares = found.loc["RGB", ["share_1", "share_2", "share_3"]].to_numpy(float)
    np.testing.assert_allclose(shares, [0.1, 0.3, 0.6], atol=1e-6)
    for row in found[["share_1", "share_2", "share_3"]].to_numpy():
        assert row.sum() == pytest.approx(1)
    assert found.loc["RGB", "plane"] == pytest.approx(90)  # its first two are the filters' last


def test_random_filters_are_near_no_space() -> None:
    rng = np.random.default_rng(0)
    chances = []
    for seed in range(20):
        frame = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        found = colour(model_with(frame, (6.0, 3.0, 1.0)), seed=seed).spaces
        chances.append(found.set_index("space").loc["YUV", "chance"])
    assert 0.3 < np.mean(chances) < 0.7  # uniform


def test_yuv_is_scikit_images() -> None:
    axes = rgb2yuv(np.eye(3)[None])[0].T
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    np.testing.assert_allclose(colour_spaces()["YUV"][1], axes, atol=1e-3)


@pytest.mark.parametrize("space", ["DKL", "opponent"])
def test_opponent_axes_have_their_names(space: str) -> None:
    names, axes = colour_spaces()[space]
    red, green, blue = axes[names.index("red–green")]
    assert red > 0 > green and abs(blue) < abs(green)
    red, green, blue = axes[names.index("blue–yellow")]
    assert blue > 0 > max(red, green)


def test_luminance_is_grey_and_colour_axes_ignore_it() -> None:
    for name in ("YUV", "opponent", "Lab", "DKL"):
        axes = colour_spaces()[name][1]
        assert (axes[0] > 0).all(), name
        np.testing.assert_allclose(axes[1:].sum(1), 0, atol=0.01, err_msg=name)


def test_a_network_of_another_kind_is_refused() -> None:
    network = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(1), nn.Linear(3 * 8 * 8, 3))
    model = model_of_module(Network(network, size=(16, 16)))
    with pytest.raises(InputError, match="no convolution of red, green and blue"):
        colour(model)
    nothing = model_with(np.eye(3), (0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="all 0"):
        colour(nothing)
