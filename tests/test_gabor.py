"""The fixed filter bank does what its units' names say."""

import numpy as np
import pytest
import torch

from salprobe.probe.sources.gabor import ORIENTATIONS, WAVELENGTHS, Gabor


def grating(wavelength: float, orientation: float, size: int = 128, phase: float = 0.0):
    y, x = np.mgrid[:size, :size]
    angle = np.radians(orientation)
    along = x * np.cos(angle) - y * np.sin(angle)
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * along / wavelength + phase)
    return torch.from_numpy(wave.astype(np.float32)).expand(1, 3, size, size)


@pytest.mark.parametrize("wavelength", WAVELENGTHS)
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_each_filter_prefers_its_own_grating(wavelength: int, orientation: int) -> None:
    bank = Gabor().log_gabor
    energy = bank(grating(wavelength, orientation))[0, :, 48:80, 48:80].mean((1, 2))
    assert bank.unit_names[int(energy.argmax())] == f"{wavelength} px bars at {orientation}°"


def test_energy_does_not_depend_on_phase() -> None:
    bank = Gabor().log_gabor
    one, other = (bank(grating(8, 30, phase=p))[0, 7, 40:88, 40:88] for p in (0.0, 1.3))
    torch.testing.assert_close(one, other, rtol=0.02, atol=0.002)
    assert one.std() / one.mean() < 0.05


def test_a_red_spot_on_green_excites_red_on_green() -> None:
    image = torch.zeros(1, 3, 64, 64)
    image[:, 1] = 1
    image[:, :, 28:36, 28:36] = torch.tensor([1.0, 0, 0])[:, None, None]
    cells = Gabor().centre_surround
    centre = cells(image)[0, :, 32, 32]
    assert cells.unit_names[int(centre.argmax())].endswith("red on green")
    assert centre[cells.unit_names.index("8 px green on red")] == 0


def test_grey_excites_no_colour_cell_and_a_flat_image_no_bar() -> None:
    grey = torch.rand(1, 1, 64, 64).expand(1, 3, 64, 64)
    torch.testing.assert_close(Gabor().centre_surround(grey), torch.zeros(1, 16, 64, 64))
    flat = torch.full((1, 3, 64, 64), 0.7)
    assert Gabor().log_gabor(flat).abs().max() < 1e-5


def test_borders_are_no_edges() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    energy = Gabor().log_gabor(ramp)[0, 0]  # 4 px, vertical bars
    assert energy.max() < 0.05
