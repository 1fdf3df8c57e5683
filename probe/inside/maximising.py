"""Pictures that a unit prefers: activation maximisation, from noise and from a stimulus.

References
----------
Yosinski et al., "Understanding neural networks through deep visualization", ICML workshop 2015.
Fel et al., "Unlocking feature visualization for deep networks with MAgnitude Constrained
Optimization" (MACO), NeurIPS 2023. Hamblin et al., "Feature accentuation", 2024.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ...datasets.progress import Advance
from .canvas import Canvas
from .recipes import Accentuation, Maco, Regularisers, Yosinski
from .spectrum import Spectrum

Respond = Callable[[torch.Tensor], torch.Tensor]
"""From pictures, (n, 3, height, width) in 0 to 1, to a cell's responses, (n,)."""


@dataclass(frozen=True, eq=False)
class Preferred:
    """Pictures that a unit prefers.

    Attributes
    ----------
    pictures : float32 tensor, shape (n, 3, height, width)
        In 0 to 1.
    opacity : float32 tensor, shape (n, height, width)
        How much each pixel mattered while they were made: 0 to 1.
    responses : tensor, shape (n,)
        To the pictures, before the ReLU.
    """

    pictures: torch.Tensor
    opacity: torch.Tensor
    responses: torch.Tensor


def maco(
    respond: Respond, spectrum: Spectrum, recipe: Maco, seed: int, advance: Advance
) -> Preferred:
    """Seek phases whose pictures drive a cell, the amplitudes being those of stimuli.

    Parameters
    ----------
    respond : callable
    spectrum : Spectrum
    recipe : Maco
    seed : int
    advance : callable
        Called after each step.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (recipe.seeds, *spectrum.amplitude.shape)
    phase = math.tau * torch.rand(shape, generator=generator)
    return _ascend(respond, spectrum.pictures, phase, recipe, generator, advance)


def accentuate(
    respond: Respond, patches: torch.Tensor, recipe: Accentuation, seed: int, advance: Advance
) -> Preferred:
    """Change the phases of patches so that they drive a cell more.

    Parameters
    ----------
    respond : callable
    patches : float32 tensor, shape (n, 3, height, width)
        In 0 to 1.
    recipe : Accentuation
    seed : int
    advance : callable
        Called after each step.
    """
    known = torch.fft.rfft2(torch.logit(patches, eps=0.02))
    amplitude, size = known.abs(), patches.shape[-2:]

    def pictures(phase: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(torch.fft.irfft2(torch.polar(amplitude, phase), s=size))

    generator = torch.Generator().manual_seed(seed)
    return _ascend(respond, pictures, known.angle(), recipe, generator, advance)


def _ascend(
    respond: Respond,
    pictures_of: Callable[[torch.Tensor], torch.Tensor],
    phase: torch.Tensor,
    recipe: Maco | Accentuation,
    generator: torch.Generator,
    advance: Advance,
) -> Preferred:
    """Climb from phases to those whose pictures drive a cell, each on its own."""
    phase = phase.clone().requires_grad_(True)
    optimiser = torch.optim.NAdam([phase], lr=recipe.rate)
    mattered: torch.Tensor | float = 0.0
    for _ in range(recipe.steps):
        pictures = pictures_of(phase)
        total = torch.zeros(())
        for _ in range(recipe.views):
            total = total + respond(_view(pictures, recipe, generator)).sum() / recipe.views
        change, pixels = torch.autograd.grad(total, [phase, pictures])
        mattered = mattered + pixels.abs().sum(1)
        phase.grad = -change
        optimiser.step()
        advance(1)
    with torch.no_grad():
        pictures = pictures_of(phase)
        return Preferred(pictures, _share(torch.as_tensor(mattered)), respond(pictures))


def _view(
    pictures: torch.Tensor, recipe: Maco | Accentuation, generator: torch.Generator
) -> torch.Tensor:
    """Shift pictures, which are periodic, and add noise."""
    most = [round(recipe.shift * side) for side in pictures.shape[-2:]]
    shifts = [int(torch.randint(-m, m + 1, (), generator=generator)) for m in most]
    normal = torch.randn(pictures.shape, generator=generator)
    uniform = 2 * torch.rand(pictures.shape, generator=generator) - 1
    return pictures.roll(shifts, (2, 3)) + recipe.noise * (normal + uniform)


def _share(mattered: torch.Tensor) -> torch.Tensor:
    """Scale what mattered to 0 to 1, from its middle half upwards, smoothly in space."""
    smooth = F.avg_pool2d(mattered[:, None], 5, 1, 2, count_include_pad=False)[:, 0]
    low, high = (smooth.flatten(1).quantile(q, 1)[:, None, None] for q in (0.25, 0.9))
    return ((smooth - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)


def yosinski(
    respond: Respond, canvas: Canvas, recipe: Yosinski, seed: int, advance: Advance
) -> Preferred:
    """Climb from noise on the pixels, with regularisers; a picture for each of their styles.

    Parameters
    ----------
    respond : callable
    canvas : Canvas
        Its network's mean colour is grey.
    recipe : Yosinski
    seed : int
    advance : callable
        Called after each step.
    """
    generator = torch.Generator().manual_seed(seed)
    grey = canvas.grey[:, None, None]
    shape = (len(recipe.styles), 3, *canvas.size)
    apart = torch.randn(shape, generator=generator) * 10 / 255
    for step in range(recipe.steps):
        pictures = (grey + apart).requires_grad_(True)
        (slope,) = torch.autograd.grad(respond(pictures).sum(), pictures)
        strong = torch.stack([one.abs().flatten().quantile(0.99) for one in slope])
        strong = strong.clamp_min(1e-12)[:, None, None, None]
        apart = apart + recipe.change * (slope / strong).clamp(-1, 1)
        apart = torch.stack(
            [
                _regularised(one, along, style, step)
                for one, along, style in zip(apart, slope, recipe.styles, strict=True)
            ]
        )
        apart = (grey + apart).clamp(0, 1) - grey
        advance(1)
    with torch.no_grad():
        pictures = grey + apart
        opaque = torch.ones(len(pictures), *canvas.size)
        return Preferred(pictures, opaque, respond(pictures))


def _regularised(
    apart: torch.Tensor, slope: torch.Tensor, style: Regularisers, step: int
) -> torch.Tensor:
    """Return a deviation from grey, (3, height, width), after the regularisers."""
    apart = apart * (1 - style.decay)
    if style.blur and step % 4 == 3:
        apart = _blurred(apart, style.blur)
    if style.small_norm:
        norm = apart.square().sum(0).sqrt()
        apart = apart * (norm >= norm.quantile(style.small_norm / 100))
    if style.small_contribution:
        gain = (apart * slope).sum(0).abs()
        apart = apart * (gain >= gain.quantile(style.small_contribution / 100))
    return apart


def _blurred(picture: torch.Tensor, sd: float) -> torch.Tensor:
    reach = math.ceil(3 * sd)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sd) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(picture[None], (reach,) * 4, mode="replicate")[0][:, None]
    return F.conv2d(F.conv2d(padded, kernel[None, None, :, None]), kernel[None, None, None])[:, 0]
