"""MSI-Net: its names, TensorFlow 1's operations, and its map against TensorFlow's."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import salprobe as sp
from salprobe.probe.architectures import tensorflow1
from salprobe.probe.architectures.msinet import MEAN, MsiNet, cover, fit

NAMES = Path(os.environ.get("SALPROBE_DATA", ""), "facts", "msinet_vars.json")
LINE = np.array([3, 90, 14, 250, 61, 7, 180], np.float64)


def made_up() -> MsiNet:
    """Return a network with the weights that TensorFlow was given for `BY_TENSORFLOW`."""
    rng, network = np.random.RandomState(7), MsiNet().eval()
    for value in network.state_dict().values():
        shape = tuple(value.permute(2, 3, 1, 0).shape) if value.ndim == 4 else tuple(value.shape)
        spread = np.sqrt(2 / np.prod(shape[:3])) if len(shape) == 4 else 0.05
        drawn = torch.from_numpy((rng.standard_normal(shape) * spread).astype(np.float32))
        value.copy_(drawn.permute(3, 2, 0, 1) if drawn.ndim == 4 else drawn)
    return network


BY_TENSORFLOW = [  # TensorFlow 2.16's operations of version 1; every tenth row, twelfth column
    [0.383286, 0.375844, 0.522572, 0.724852, 0.854967],
    [0.360509, 0.349103, 0.484193, 0.629243, 0.552942],
    [0.281804, 0.437538, 0.439153, 0.617261, 0.684711],
    [0.200618, 0.231844, 0.167304, 0.312822, 0.427503],
    [0.06001, 0.041195, 0.126733, 0.237001, 0.171902],
]


def test_its_map_is_tensorflows() -> None:
    rows, columns = np.mgrid[:48, :64]
    picture = [127 + 127 * np.sin(rows / 5 + columns / 9), 4.0 * columns, 255.0 - 5 * rows]
    pixels = np.stack(picture).astype(np.float32) - np.float32(MEAN)[:, None, None]
    with torch.inference_mode():
        found = made_up()(torch.from_numpy(pixels)[None])[0, 0].numpy()
    assert (found.min(), found.shape) == (0, (48, 64))
    np.testing.assert_allclose(found.max(), 1, rtol=1e-5)
    np.testing.assert_allclose(found[3::10, 5::12], BY_TENSORFLOW, atol=1e-5)


def test_it_has_the_published_variables() -> None:
    state = MsiNet().state_dict()
    assert len(state) == 46
    assert sum(value.numel() for value in state.values()) == 24_934_209
    assert state["aspp.conv1_4.weight"].shape == (256, 1280, 3, 3)
    assert state["decoder.conv4.bias"].shape == (1,)


@pytest.mark.skipif(not NAMES.is_file(), reason="needs SALPROBE_DATA/facts/msinet_vars.json")
def test_its_keys_are_tensorflows_names_in_their_order() -> None:
    expected = []
    for one in json.loads(NAMES.read_text())["variables"]:
        key = one["name"].split(":")[0].replace("/", ".").replace("kernel", "weight")
        shape = one["shape"]
        expected.append((key, [shape[k] for k in (3, 2, 0, 1)] if len(shape) == 4 else shape))
    found = [(key, list(value.shape)) for key, value in MsiNet().state_dict().items()]
    assert found == expected


def test_bilinear_upsampling_is_tensorflow_1s() -> None:
    column = torch.tensor([3.0, 90, 14]).view(1, 1, 3, 1)
    by_tensorflow = [3.0, 3.0, 46.5, 46.5, 90.0, 90.0, 52.0, 52.0, 14.0, 14.0, 14.0, 14.0]
    assert tensorflow1.doubled(column).flatten().tolist() == by_tensorflow
    maps = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    found = tensorflow1.doubled(torch.from_numpy(maps)).numpy()
    assert found.shape == (2, 3, 8, 10)
    for y in range(8):
        for x in range(10):
            top, left = y // 2, x // 2
            low = top if y % 2 == 0 else min(top + 1, 3)
            right = left if x % 2 == 0 else min(left + 1, 4)
            corners = (maps[..., i, j] for i in (top, low) for j in (left, right))
            np.testing.assert_allclose(found[..., y, x], sum(corners) / 4, atol=1e-6)


def test_same_pooling_looks_right_and_below() -> None:
    maps = torch.tensor([[-1.0, -5, -3], [-9, -2, -8]])
    found = tensorflow1.pooled(maps[None, None])[0, 0]
    assert found.tolist() == [[-1, -2, -3], [-2, -2, -8]]


def test_resizing_by_area_and_cubic_is_tensorflow_1s() -> None:
    for cells, by_tensorflow in (
        (3, [35.66666793823242, 106.0, 180.0]),
        (5, [32.0, 39.333335876464844, 187.0, 25.0, 180.0]),
    ):
        np.testing.assert_allclose(tensorflow1.area(cells, 7) @ LINE, by_tensorflow, rtol=1e-6)
    by_tensorflow = [3.0, 71.08622741699219, 62.675621032714844, 14.0, 192.5708770751953]
    by_tensorflow += [219.78445434570312, 61.0, -5.725869178771973, 55.40196228027344, 180.0]
    np.testing.assert_allclose(tensorflow1.bicubic(10, 7) @ LINE, by_tensorflow, atol=2e-4)


@pytest.mark.parametrize(("cells", "of"), [(240, 600), (7, 11), (3, 9), (1, 1), (90, 101), (4, 4)])
def test_resizing_by_area_is_the_mean_over_what_a_cell_covers(cells: int, of: int) -> None:
    matrix = tensorflow1.area(cells, of)
    scale = (of - 1) / (cells - 1) if cells > 1 else of / cells
    values = np.random.default_rng(1).uniform(0, 255, of)
    for i in (0, cells // 2, cells - 1):
        fine = (i + (np.arange(20_000) + 0.5) / 20_000) * scale
        expected = values[fine.astype(int).clip(0, of - 1)].mean()
        np.testing.assert_allclose(matrix[i] @ values, expected, atol=0.05)
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=5e-5)  # single precision, as there


def test_a_picture_of_the_inputs_aspect_is_not_padded() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (60, 80, 3), np.uint8)
    found = fit(picture, (24, 32))
    down, across = tensorflow1.area(24, 60), tensorflow1.area(32, 80)
    for channel in range(3):
        expected = down @ picture[..., channel] @ across.T
        np.testing.assert_allclose(found[..., channel], expected, atol=1e-3)


def test_another_picture_is_padded_with_grey_and_its_map_is_cropped() -> None:
    tall = fit(np.full((101, 40, 3), 200, np.uint8), (24, 32))
    assert tall.shape == (24, 32, 3)
    columns = (tall[12, :, 0] != 126).nonzero()[0]
    assert (columns.min(), columns.max()) == (11, 20)  # round(40 · 24 / 101) = 10; 11 before
    odd = fit(np.full((100, 46, 3), 200, np.uint8), (24, 32))
    columns = (odd[12, :, 0] != 126).nonzero()[0]
    assert (columns.min(), columns.max()) == (10, 20)  # 11 columns: 10 before, 11 behind
    saliency = np.zeros((24, 32))
    saliency[:, 16:] = 1
    found = cover(saliency, (101, 40))
    assert found.shape == (101, 40)
    assert (found[:, :18] < 0.1).all() and (found[:, 23:] > 0.9).all()
    assert found.min() >= 0 and found.max() <= 1  # bicubic weights reach beyond both


def test_enlarging_is_bicubic() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
    down, across = tensorflow1.bicubic(24, 6), tensorflow1.bicubic(32, 8)
    expected = (down @ picture[..., 1] @ across.T).clip(0, 255)
    np.testing.assert_allclose(fit(picture, (24, 32))[..., 1], expected, atol=1e-3)


def test_a_picture_goes_through_the_authors_pipeline(tmp_path: Path) -> None:
    network = made_up()
    torch.save(network.state_dict(), tmp_path / "m.pth")
    picture = np.random.default_rng(4).integers(0, 256, (90, 100, 3), np.uint8)
    found = sp.saliency_map("msinet", picture, tmp_path / "m.pth")
    pixels = torch.from_numpy(fit(picture, (240, 320))).permute(2, 0, 1)[None]
    with torch.inference_mode():
        saliency = network(pixels - torch.tensor(MEAN).view(3, 1, 1))[0, 0].numpy()
    np.testing.assert_allclose(found, cover(saliency, (90, 100)), atol=1e-5)
    assert found.shape == (90, 100)


def test_sizes_and_pictures_that_it_cannot_take_are_refused() -> None:
    with pytest.raises(sp.InputError, match="MSI-Net takes sides that are multiples of 8"):
        sp.load_model("msinet", "random", input_size=(100, 100)).layers()
    with pytest.raises(sp.InputError, match="too narrow"):
        sp.saliency_map("msinet", np.zeros((2000, 2, 3), np.uint8), "random")
