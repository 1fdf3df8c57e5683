"""The amplitudes and colours of stimuli, and pictures that have them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ...datasets.stimuli import Stimuli
from ..networks.model import Model, network_input

_MOST = 200  # stimuli that the spectrum is of


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What pictures share with stimuli: all but the phases.

    Attributes
    ----------
    amplitude : float32 tensor, shape (3, height, width // 2 + 1)
        Mean amplitude of the stimuli's frequencies, in colours that are uncorrelated.
    colours : float32 tensor, shape (3, 3)
        From these to red, green and blue.
    mean : float32 tensor, shape (3,)
        Their mean colour, in 0 to 1.
    size : (height, width)
    """

    amplitude: torch.Tensor
    colours: torch.Tensor
    mean: torch.Tensor
    size: tuple[int, int]

    def pictures(self, phase: torch.Tensor) -> torch.Tensor:
        """Return the pictures with some phases.

        Parameters
        ----------
        phase : float32 tensor, shape (n, 3, height, width // 2 + 1)

        Returns
        -------
        float32 tensor, shape (n, 3, height, width)
            In 0 to 1, with the stimuli's mean colour and contrast as far as that allows.
        """
        flat = torch.fft.irfft2(torch.polar(self.amplitude.expand_as(phase), phase), s=self.size)
        flat = flat - flat.mean((2, 3), keepdim=True)
        flat = flat / flat.std((1, 2, 3), keepdim=True)
        rgb = torch.einsum("oc,nchw->nohw", self.colours, flat) + self.mean[:, None, None]
        return 0.5 + 0.5 * torch.tanh(2 * (rgb - 0.5))


def spectrum_of(model: Model, stimuli: Stimuli, size: tuple[int, int], seed: int) -> Spectrum:
    """Measure the amplitudes and colours of patches of stimuli, as the network sees them.

    The mean amplitude of a patch's frequencies, after a Hann window, of up to 200 stimuli.

    Parameters
    ----------
    model : Model
    stimuli : Stimuli
    size : (height, width)
        At most the network's input.
    seed : int
        Of the choice of patches.
    """
    chance = np.random.default_rng(seed)
    every = list(stimuli)
    chosen = sorted(chance.choice(len(every), min(_MOST, len(every)), replace=False))
    patches = []
    for number in chosen:
        rgb = network_input(stimuli.read(every[number]), model.resize)
        top, left = (
            int(chance.integers(whole - part + 1))
            for whole, part in zip(rgb.shape, size, strict=False)
        )
        patches.append(rgb[top : top + size[0], left : left + size[1]])
    pixels = torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).float() / 255
    apart = pixels - pixels.mean((2, 3), keepdim=True)
    covariance = torch.einsum("nchw,ndhw->cd", apart, apart) / (apart.numel() / 3)
    values, vectors = torch.linalg.eigh(covariance.double() + 1e-6 * torch.eye(3))
    root = (vectors * values.sqrt()) @ vectors.T
    flat = torch.einsum("oc,nchw->nohw", torch.linalg.inv(root).float(), apart)
    window = torch.outer(*(torch.hann_window(side + 2, periodic=False)[1:-1] for side in size))
    amplitude = torch.fft.rfft2(flat * window).abs().mean(0)
    return Spectrum(amplitude, root.float(), pixels.mean((0, 2, 3)), size)
