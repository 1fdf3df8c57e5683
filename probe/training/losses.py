"""Losses that training minimises, and NSS, which it is evaluated by.

All compare a predicted map, resized to the stimulus, with the fixations on it. NSS does so without
resizing it: in closed form, as in scoring.

References
----------
−NSS: He et al., CVPR 2019, section 4.2. KL, CC: Bylinskii et al., PAMI 2019; KL as in Jetley et
al., CVPR 2016. BCE: Pan et al., SalGAN, 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ...datasets.errors import InputError
from ..networks.activation import resized
from ..scoring.nss import Pixels, resized_nss


@dataclass(frozen=True, eq=False)
class Looked:
    """Where people looked at one stimulus.

    Attributes
    ----------
    size : (height, width)
        Size of the stimulus in pixels.
    pixels : Pixels
        The distinct fixated pixels.
    density : float32 tensor, shape (height, width), or None
        The empirical saliency map, summing to 1, if a loss needs it.
    """

    size: tuple[int, int]
    pixels: Pixels
    density: torch.Tensor | None = None

    def to(self, device: torch.device) -> Looked:
        """Return the same on another device."""
        density = None if self.density is None else self.density.to(device)
        return Looked(self.size, self.pixels, density)


def nss(saliency: torch.Tensor, looked: Looked) -> torch.Tensor:
    """Return the mean of the standardised map (population sd) at the fixated pixels.

    The map may have any size: it counts as resized to the stimulus. A constant map scores 0.
    """
    return resized_nss(saliency, looked.pixels, looked.size, epsilon=1e-12)


def kl(saliency: torch.Tensor, looked: Looked) -> torch.Tensor:
    """Return KL(empirical ‖ predicted) in nats; the prediction is the softmax over all pixels."""
    density = _density(looked)
    log_p = saliency.flatten().log_softmax(0).view_as(saliency)
    return (torch.xlogy(density, density) - density * log_p).sum()


def cc(saliency: torch.Tensor, looked: Looked) -> torch.Tensor:
    """Return Pearson's correlation with the empirical saliency map."""
    a, b = (image - image.mean() for image in (saliency, _density(looked)))
    return (a * b).mean() / ((a.square().mean() + 1e-12).sqrt() * b.square().mean().sqrt())


def bce(saliency: torch.Tensor, looked: Looked) -> torch.Tensor:
    """Return the cross-entropy of the map's sigmoid and the empirical map, whose maximum is 1."""
    density = _density(looked)
    return F.binary_cross_entropy_with_logits(saliency, density / density.max())


Term = Callable[[torch.Tensor, Looked], torch.Tensor]
TERMS: dict[str, tuple[Term, float]] = {
    "nss": (nss, -1),
    "kl": (kl, 1),
    "cc": (cc, -1),
    "bce": (bce, 1),
}
"""Terms by name, each with the sign with which a loss minimises it."""


@dataclass(frozen=True)
class Loss:
    """A weighted sum of terms, written as in ``nss`` or ``10*kl+2*cc+nss``.

    Raises
    ------
    InputError
        From `parse`, if the text has another form.
    """

    weights: tuple[tuple[str, float], ...]

    @classmethod
    def parse(cls, text: str) -> Loss:
        """Parse a loss.

        Raises
        ------
        InputError
            If the text has another form.
        """
        weights = []
        for part in text.split("+"):
            factor, _, name = part.rpartition("*")
            try:
                weight = float(factor or 1)
            except ValueError:
                weight = 0.0
            if name.strip() not in TERMS or not 0 < weight < float("inf"):
                raise InputError(
                    f"--loss {text!r}: expected {', '.join(TERMS)}, or a sum as in 10*kl+nss"
                )
            weights.append((name.strip(), weight))
        return cls(tuple(weights))

    @property
    def needs_density(self) -> bool:
        """Whether a term needs the empirical saliency map."""
        return any(name != "nss" for name, _ in self.weights)

    def __call__(self, saliency: torch.Tensor, looked: Looked) -> torch.Tensor:
        """Return the loss of one map, as the network gives it."""
        large = resized(saliency, looked.size) if self.needs_density else saliency
        terms = []
        for name, weight in self.weights:
            term, sign = TERMS[name]
            shown = saliency if name == "nss" else large
            terms.append(sign * weight * term(shown, looked))
        return torch.stack(terms).sum()


def _density(looked: Looked) -> torch.Tensor:
    if looked.density is None:
        raise ValueError("this loss needs the empirical saliency map")
    return looked.density
