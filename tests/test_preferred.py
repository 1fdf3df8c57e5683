"""Pictures that units prefer: of units whose preference is known, and the regularisers by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import nn
from toys import SIDE, Whole, write_pictures

import salprobe as sp
from salprobe.datasets.stimuli import Stimuli
from salprobe.probe.inside.canvas import Canvas
from salprobe.probe.inside.maximising import _regularised, accentuate, maco, yosinski
from salprobe.probe.inside.recipes import Accentuation, Maco, Regularisers, Yosinski
from salprobe.probe.inside.spectrum import Spectrum, spectrum_of
from salprobe.probe.inside.top import Peak
from salprobe.probe.networks.load import model_of_module
from salprobe.probe.networks.model import Model


class Filter(nn.Module):
    """One unit: a grating in a Gaussian, upright or not, in luminance; then a ReLU."""

    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        self.unit = nn.Conv2d(3, 1, 15)
        self.relu = nn.ReLU()
        with torch.no_grad():
            self.unit.weight.copy_(GRATING / 3)
            self.unit.bias.fill_(bias)  # type: ignore[union-attr]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.unit(x)).mean((2, 3))


ROWS, COLUMNS = torch.meshgrid(torch.arange(-7.0, 8), torch.arange(-7.0, 8), indexing="ij")
GRATING = torch.exp(-(ROWS**2 + COLUMNS**2) / 18) * torch.cos(2 * torch.pi * COLUMNS / 6)


def model_from(network: nn.Module) -> Model:
    plain = {"mean": (0.5, 0.5, 0.5), "sd": (0.25, 0.25, 0.25)}
    return model_of_module(sp.Network(network.eval(), size=(SIDE, SIDE), **plain))


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Stimuli:
    folder = write_pictures(tmp_path_factory.mktemp("preferred") / "pictures")
    return Stimuli.from_folder(folder)


def alike(picture: torch.Tensor) -> float:
    """Return the correlation of a picture's luminance with the grating."""
    luminance = picture.mean(0).flatten()
    return float(torch.corrcoef(torch.stack([luminance, GRATING.flatten()]))[0, 1])


@pytest.mark.parametrize("bias", [0.0, -100.0])  # the second never fires, and has a slope still
def test_a_filter_prefers_itself(stimuli: Stimuli, bias: float) -> None:
    model = model_from(Filter(bias))
    canvas = Canvas.of(model, model.layer("relu"))
    assert canvas.size == (15, 15)
    respond = canvas.respond(0)
    spectrum = spectrum_of(model, stimuli, canvas.size, 0)
    made = maco(respond, spectrum, Maco(), 0, lambda steps: None)
    assert all(alike(one) > 0.45 for one in made.pictures)  # chance: 0 ± 0.07
    torch.testing.assert_close(made.responses, respond(made.pictures))
    climbed = yosinski(respond, canvas, Yosinski(), 0, lambda steps: None)
    assert [alike(one) > 0.5 for one in climbed.pictures] == [True] * 4
    patches = torch.rand(2, 3, 15, 15, generator=torch.Generator().manual_seed(3))
    changed = accentuate(respond, patches, Accentuation(), 0, lambda steps: None)
    assert (changed.responses > respond(patches)).all()
    known, found = (
        torch.fft.rfft2(torch.logit(one, eps=eps)).abs()
        for one, eps in ((patches, 0.02), (changed.pictures, 1e-7))
    )
    torch.testing.assert_close(found[..., 1:7], known[..., 1:7], rtol=0.02, atol=0.02)


def test_pictures_depend_on_the_seed_alone(stimuli: Stimuli) -> None:
    model = model_from(Filter())
    canvas = Canvas.of(model, model.layer("relu"))
    spectrum = spectrum_of(model, stimuli, canvas.size, 0)
    one, same, other = (
        maco(canvas.respond(0), spectrum, Maco(steps=5), seed, lambda steps: None).pictures
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.allclose(one, other, atol=0.05)


def test_the_spectrum_is_that_of_the_stimuli(stimuli: Stimuli) -> None:
    model = model_from(Filter())
    spectrum = spectrum_of(model, stimuli, (SIDE, SIDE), 0)  # whole stimuli: nothing is chosen
    pixels = np.stack([np.asarray(stimuli.read(one)) / 255 for one in stimuli])
    apart = pixels - pixels.mean((1, 2), keepdims=True)
    covariance = np.cov(apart.reshape(-1, 3).T, bias=True)
    np.testing.assert_allclose(spectrum.colours @ spectrum.colours.T, covariance, atol=2e-5)
    np.testing.assert_allclose(spectrum.mean, pixels.mean((0, 1, 2)), atol=1e-5)
    flat = apart @ np.linalg.inv(spectrum.colours.numpy().astype(float)).T
    window = np.outer(*[np.hanning(SIDE + 2)[1:-1]] * 2)[None, :, :, None]
    expected = np.abs(np.fft.rfft2(flat * window, axes=(1, 2))).mean(0)
    np.testing.assert_allclose(
        spectrum.amplitude, expected.transpose(2, 0, 1), rtol=1e-3, atol=1e-2
    )


def test_pictures_of_a_spectrum_have_its_amplitudes_and_colour() -> None:
    generator = torch.Generator().manual_seed(1)
    amplitude = 1 / (1 + torch.arange(9.0)) * torch.ones(3, 16, 1)
    mean = torch.tensor([0.6, 0.5, 0.4])
    spectrum = Spectrum(amplitude, 0.02 * torch.eye(3), mean, (16, 16))  # faint: no squashing
    phase = torch.rand(2, 3, 16, 9, generator=generator) * 6.28
    pictures = spectrum.pictures(phase)
    torch.testing.assert_close(pictures.mean((2, 3)), mean.expand(2, 3), atol=5e-3, rtol=0)
    found = torch.fft.rfft2(pictures).abs()
    share = found[..., 1:8] / amplitude[..., 1:8]  # others are real: only part of them is kept
    assert (share / share.mean((2, 3), keepdim=True) - 1).abs().mean() < 0.05


def test_the_regularisers_by_hand() -> None:
    generator = torch.Generator().manual_seed(0)
    apart, slope = torch.randn(2, 3, 8, 10, generator=generator)
    halved = _regularised(apart, slope, Regularisers(decay=0.5), 0)
    torch.testing.assert_close(halved, apart / 2)
    blur = Regularisers(blur=0.8)
    assert torch.equal(_regularised(apart, slope, blur, 2), apart)  # every fourth step only
    expected = ndimage.gaussian_filter(
        apart.numpy(), (0, 0.8, 0.8), mode="nearest", radius=(0, 3, 3)
    )
    np.testing.assert_allclose(_regularised(apart, slope, blur, 3), expected, atol=1e-5)
    norm = np.sqrt((apart.numpy() ** 2).sum(0))
    kept = norm >= np.percentile(norm, 30)
    cut = _regularised(apart, slope, Regularisers(small_norm=30), 0)
    np.testing.assert_allclose(cut, apart.numpy() * kept)
    gain = np.abs((apart * slope).numpy().sum(0))
    kept = gain >= np.percentile(gain, 90)
    cut = _regularised(apart, slope, Regularisers(small_contribution=90), 0)
    np.testing.assert_allclose(cut, apart.numpy() * kept)


def test_a_cell_that_sees_everything_is_shown_whole_inputs(stimuli: Stimuli) -> None:
    torch.manual_seed(0)
    model = model_from(Whole())
    canvas = Canvas.of(model, model.layer("all"))
    assert canvas.window is None
    assert "see more of the picture" in canvas.why or "sees more" in canvas.why
    assert canvas.size == (SIDE, SIDE)
    pictures = torch.rand(2, 3, SIDE, SIDE)
    maps = model.network.maps((pictures - 0.5) / 0.25)  # type: ignore[operator]
    maps = (maps + maps.mean((2, 3), keepdim=True))[:, 1]
    torch.testing.assert_close(canvas.respond(1)(pictures), maps[:, 6, 6])
    found = canvas.respond(1, [(0, 2), (11, 5)])(pictures)
    torch.testing.assert_close(found, torch.stack([maps[0, 0, 2], maps[1, 11, 5]]))


def test_the_patch_of_a_peak_is_what_its_cell_sees(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "one.png")
    (stimulus,) = Stimuli.from_folder(tmp_path)
    model = model_from(Filter())
    layer = model.layer("relu")
    canvas = Canvas.of(model, layer)
    patch = canvas.patch(Peak(stimulus, 1.0, 3, 8), rgb)
    assert patch is not None
    np.testing.assert_array_equal(patch, rgb[3:18, 8:23])
    assert canvas.patch(Peak(stimulus, 1.0, 40, 8), rgb) is None  # beyond the lower border
