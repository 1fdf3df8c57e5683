"""How pictures that a unit prefers are made: the parameters of each method."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Maco:
    """How pictures with the stimuli's amplitudes are made; only their phases are sought.

    Attributes
    ----------
    seeds : int
        Pictures, each from other phases.
    steps : int
        Of NAdam.
    rate : float
        Its learning rate, as in the paper.
    views : int
        Shifted and noisy copies in a step; the paper takes 6 crops.
    shift : float
        Most that a copy is shifted, as a share of the side.
    noise : float
        Standard deviation of normal noise, and reach of uniform noise, as in the paper.
    """

    seeds: int = 3
    steps: int = 256
    rate: float = 1.0
    views: int = 2
    shift: float = 0.04
    noise: float = 0.05


@dataclass(frozen=True)
class Accentuation:
    """How stimuli are changed towards what a unit prefers: their phases, not their amplitudes.

    Attributes are those of `Maco`, and ``stimuli``, how many of the best ones are changed.
    """

    stimuli: int = 3
    steps: int = 32
    rate: float = 0.03
    views: int = 2
    shift: float = 0.02
    noise: float = 0.02


@dataclass(frozen=True)
class Regularisers:
    """What is done to a picture after each step of gradient ascent (Yosinski et al., section 3).

    Attributes
    ----------
    decay : float
        Share of the deviation from grey that is lost.
    blur : float
        Standard deviation in pixels of a Gaussian blur, every fourth step.
    small_norm, small_contribution : float
        Percentile below which pixels are made grey, by their norm, and by how much they contribute.
    """

    decay: float = 0.0
    blur: float = 0.0
    small_norm: float = 0.0
    small_contribution: float = 0.0


@dataclass(frozen=True)
class Yosinski:
    """Gradient ascent on pixels with regularisers.

    Attributes
    ----------
    styles : tuple of Regularisers
        A picture each: the four of the paper's Table 1.
    steps : int
    change : float
        Of the 1 % of values that a step changes most, where white is 1. (The paper's scripts follow
        the gradient by a fixed factor, which suits one layer of one network.)
    """

    styles: tuple[Regularisers, ...] = (
        Regularisers(blur=0.5, small_norm=50),
        Regularisers(decay=0.3, small_norm=20),
        Regularisers(decay=0.0001, blur=1.0),
        Regularisers(blur=0.5, small_contribution=90),
    )
    steps: int = 200
    change: float = 0.05


METHODS: dict[str, Maco | Yosinski | Accentuation] = {
    "maco": Maco(),
    "yosinski": Yosinski(),
    "accentuation": Accentuation(),
}
"""How a picture that a unit prefers is made."""
