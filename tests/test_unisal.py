"""UNISAL: its keys, and its map against a slow transcription of what its authors describe."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

import salprobe as sp
from salprobe.probe.architectures.unisal import DOMAINS, Unisal, input_size, prior_maps

KEYS = Path(os.environ.get("SALPROBE_DATA", ""), "facts", "unisal_keys.json")
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
STAGES += [(6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def made_up(domain="SALICON", seed: int = 0) -> Unisal:
    """Return a network whose every weight and statistic is drawn at random, float64."""
    torch.manual_seed(seed)
    network = Unisal(domain).double().eval()
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.2)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif value.is_floating_point() and value.ndim == 1:
            value.normal_(0.7, 0.3)
        elif "gaussians" in name:
            value.add_(torch.randn_like(value) * 0.1)
        elif "smoothing" in name:
            value.mul_(1 + torch.rand_like(value))
        elif value.ndim == 4:
            value.normal_(0, (1.5 / value[0].numel()) ** 0.5)
    return network


class Slow:
    """UNISAL for one picture, from its state dict alone, in NumPy."""

    def __init__(self, network: Unisal, domain: str) -> None:
        self.state = {name: value.numpy() for name, value in network.state_dict().items()}
        self.domain = domain

    def conv(self, maps, key, stride=1, padding=0, groups=1, mode="constant"):
        kernel = self.state[f"{key}.weight"]
        padded = np.pad(maps, ((0, 0), (padding,) * 2, (padding,) * 2), mode=mode)
        windows = sliding_window_view(padded, kernel.shape[2:], (1, 2))[:, ::stride, ::stride]
        if groups == 1:
            out = np.einsum("iyxkl,oikl->oyx", windows, kernel, optimize=True)
        else:
            out = np.einsum("iyxkl,ikl->iyx", windows, kernel[:, 0])
        bias = self.state.get(f"{key}.bias")
        return out if bias is None else out + bias[:, None, None]

    def norm(self, maps, key):
        if f"{key}.weight" not in self.state:
            key = f"{key}.bn_{self.domain}"
        weight, bias, mean, var = (
            self.state[f"{key}.{name}"][:, None, None]
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        return (maps - mean) / np.sqrt(var + 1e-5) * weight + bias

    def inverted(self, maps, key, expansion, stride=1):
        """Return the block's output, with a true stride in its depthwise convolution."""
        x, k = maps, 0
        if expansion > 1:
            x, k = relu6(self.norm(self.conv(x, f"{key}.conv.0"), f"{key}.conv.1")), 3
        x = self.conv(x, f"{key}.conv.{k}", stride, 1, groups=len(x))
        x = relu6(self.norm(x, f"{key}.conv.{k + 1}"))
        x = self.norm(self.conv(x, f"{key}.conv.{k + 3}"), f"{key}.conv.{k + 4}")
        return maps + x if stride == 1 and x.shape[0] == maps.shape[0] else x

    def skip(self, maps, key):
        maps = self.conv(maps, f"{key}.expansion.0")
        maps = relu6(self.norm(maps, f"{key}.expansion.1"))
        return self.norm(self.conv(maps, f"{key}.reduction.0"), f"{key}.reduction.1")

    def priors(self, height, width):
        maps = []
        for (y, log_y), (x, log_x) in self.state[f"coarse_gaussians_{self.domain.lower()}"]:
            rows, columns = np.mgrid[: 1 : height * 1j, : 1 : width * 1j]
            away = ((rows - y) / np.exp(log_y)) ** 2 + ((columns - x) / np.exp(log_x)) ** 2
            maps.append(6 * np.exp(-away / 2))
        return np.stack(maps)

    def __call__(self, image, size):
        suffix = self.domain.lower()
        x = self.conv(image, "cnn.features.0.0", 2, 1)
        x = relu6(self.norm(x, "cnn.features.0.1"))
        number, taken = 1, {}
        for expansion, _, count, stride in STAGES:
            for k in range(count):
                key = f"cnn.features.{number}"
                if number in (7, 14):
                    taken[number] = self.inverted(x, key, expansion)
                x = self.inverted(x, key, expansion, stride if k == 0 else 1)
                number += 1
        x = relu6(self.norm(self.conv(x, "cnn.features.18.0"), "cnn.features.18.1"))
        x = np.concatenate([x, self.priors(*x.shape[1:])])
        x = self.inverted(x, "post_cnn.inv_res", 1)
        x = np.concatenate(
            [bilinear(x, 2 * np.array(x.shape[1:])), self.skip(taken[14], "skip_2x")]
        )
        x = self.inverted(x, "upsampling_2.inv_res", 2)
        x = np.concatenate([bilinear(x, 2 * np.array(x.shape[1:])), self.skip(taken[7], "skip_4x")])
        x = self.inverted(x, "post_upsampling_2.inv_res", 2)
        x = self.conv(x, f"adaptation_{suffix}.0")
        x = x.repeat(image.shape[1] // x.shape[1], 1).repeat(image.shape[2] // x.shape[2], 2)
        x = self.conv(x, f"smoothing_{suffix}", 1, 20, mode="edge")
        x = bilinear(x, size)[0]
        return x - np.log(np.exp(x - x.max()).sum()) - x.max()


def relu6(maps):
    return maps.clip(0, 6)


def bilinear(maps, size):
    """Resize with half-pixel centres, cell by cell."""
    for axis, cells in zip((1, 2), size, strict=True):
        of = maps.shape[axis]
        rows = []
        for i in range(cells):
            place = max((i + 0.5) * of / cells - 0.5, 0)
            first = int(place)
            share = place - first
            pair = maps.take(first, axis), maps.take(min(first + 1, of - 1), axis)
            rows.append((1 - share) * pair[0] + share * pair[1])
        maps = np.stack(rows, axis)
    return maps


def test_its_state_dict_is_the_published_one() -> None:
    state = Unisal().state_dict()
    assert len(state) == 835
    assert sum(one.numel() for one in Unisal().parameters()) == 3_714_872
    assert state["rnn.cell_list.0.u.sep_bn.bn_UCFSports.running_var"].shape == (256,)
    assert state["rnn.cell_list.0.drop_mask_1"].shape == (3, 256)


@pytest.mark.skipif(not KEYS.is_file(), reason="needs SALPROBE_DATA/facts/unisal_keys.json")
def test_its_keys_are_the_published_ones_in_their_order() -> None:
    network = Unisal()
    state, learned = network.state_dict(), dict(network.named_parameters())
    expected = [
        (one["key"], one["shape"], one["dtype"], one["kind"])
        for one in json.loads(KEYS.read_text())["keys"]
    ]
    assert expected == [
        (
            *(key, list(value.shape), str(value.dtype).removeprefix("torch.")),
            "parameter" if key in learned else "buffer",
        )
        for key, value in state.items()
    ]


@pytest.mark.parametrize("domain", ["SALICON", "DHF1K"])
def test_its_map_is_that_of_a_slow_transcription(domain) -> None:
    network = made_up(domain)
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1)).double()
    with torch.inference_mode():
        maps = network(images, (50, 70)).numpy()
    slow = Slow(network, domain)
    for image, found in zip(images.numpy(), maps, strict=True):
        expected = slow(image, (50, 70))
        assert expected.std() > 0.05
        np.testing.assert_allclose(found[0], expected, atol=1e-10)
    np.testing.assert_allclose(np.exp(maps).sum((1, 2, 3)), 1)


def test_the_domain_decides_the_map_and_single_precision_suffices() -> None:
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)).double()
    networks = [made_up(domain) for domain in DOMAINS]
    with torch.inference_mode():
        maps = [network(images) for network in networks]
        single = networks[0].float()(images.float())
    assert all((one - maps[0]).abs().max() > 0.1 for one in maps[1:])
    assert (single - maps[0]).abs().max() < 1e-4


def test_priors_lie_where_their_parameters_say() -> None:
    maps = prior_maps(torch.tensor([[[0.5, 0.0], [1.0, -1.0]]]), (3, 5))
    assert maps.shape == (1, 3, 5)
    assert maps[0, 1, 4] == 6  # the middle row, the last column
    np.testing.assert_allclose(maps[0, 0, 4], 6 * np.exp(-(0.5**2) / 2), rtol=1e-6)
    np.testing.assert_allclose(maps[0, 1, 0], 6 * np.exp(-((np.e) ** 2) / 2), rtol=1e-5)


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((480, 640), (288, 384)),
        ((600, 800), (288, 384)),
        ((800, 600), (384, 288)),
        ((500, 500), (320, 320)),
        ((1080, 1920), (256, 416)),
        ((10, 1000), (256, 416)),
    ],
)
def test_the_input_has_the_aspect_that_is_closest(picture, size) -> None:
    assert input_size(picture) == size


def test_a_picture_is_fed_as_the_authors_feed_it(tmp_path: Path) -> None:
    network = made_up().float()
    torch.save(network.state_dict(), tmp_path / "weights_best.pth")
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (9, 14, 3), np.uint8))
    picture = np.array(small.resize((60, 45), Image.Resampling.BICUBIC))
    found = sp.saliency_map("unisal", picture, tmp_path / "weights_best.pth")
    resized = Image.fromarray(picture).resize((384, 288), Image.Resampling.LANCZOS)
    pixels = np.array(resized).transpose(2, 0, 1) / 255
    mean, sd = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    image = (pixels - mean[:, None, None]) / sd[:, None, None]
    with torch.inference_mode():
        expected = network.double()(torch.from_numpy(image)[None], (45, 60))[0, 0].numpy()
    assert found.shape == (45, 60)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(np.exp(found).sum(), 1, rtol=1e-4)
    other = sp.saliency_map("unisal-dhf1k", picture, tmp_path / "weights_best.pth")
    assert np.abs(found - other).max() > 0.01


def test_sides_that_are_no_multiples_of_32_are_refused() -> None:
    with pytest.raises(sp.InputError, match="UNISAL takes sides that are multiples of 32"):
        sp.load_model("unisal", "random", input_size=(100, 100)).layers()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    picture, path = np.zeros((40, 50, 3), np.uint8), tmp_path / "w.pth"
    state = Unisal().state_dict()
    cases = (
        ("cnn.features.3.conv.0.weight", None, "missing: cnn.features.3.conv.0.weight"),
        ("smoothing_salicon.weight", torch.zeros(1, 1, 9, 9), r"smoothing_salicon.weight is \(1"),
        ("skip_2x.reduction.0.bias", torch.full((128,), torch.nan), "is not finite"),
    )
    for key, wrong, says in cases:
        changed = {**state, key: wrong}
        torch.save({name: value for name, value in changed.items() if value is not None}, path)
        with pytest.raises(sp.InputError, match=says):
            sp.saliency_map("unisal", picture, path)
    with pytest.raises(sp.InputError, match=r"weights_best\.pth of .*rdroste/unisal"):
        sp.saliency_map("unisal", picture)


def test_what_pictures_bypass_may_be_missing(tmp_path: Path) -> None:
    state = {k: v for k, v in Unisal().state_dict().items() if not k.startswith("rnn")}
    torch.save(state, tmp_path / "w.pth")
    found = sp.saliency_map("unisal", np.zeros((40, 50, 3), np.uint8), tmp_path / "w.pth")
    assert np.isfinite(found).all()
