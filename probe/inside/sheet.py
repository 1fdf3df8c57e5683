"""What a unit's sheet shows: the patches that drive it most, and what in them does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.stimuli import Stimuli, Stimulus
from ..layers.layers import Layer
from ..networks.activation import activation
from ..networks.model import Model, network_input
from .backward import Rule, driving
from .extent import Fields
from .preferred import Shown
from .top import Peak

RULES: tuple[Rule, ...] = ("deconvnet", "guided")

_EFFECTIVE = 0.0455
"""Of the highest: a gradient above it belongs to the effective field (Luo et al. 2016)."""


@dataclass(frozen=True, eq=False)
class Example:
    """A unit's highest cell in one of its best stimuli.

    Attributes
    ----------
    peak : Peak
    box : (top, left, bottom, right)
        The cell's receptive field in the stimulus, in pixels, cut at its border.
    patch : uint8 array, shape (height, width, 3)
        The stimulus there.
    map : float32 array, shape (height, width)
        The unit's map there, at the stimulus's resolution.
    x, y : int arrays
        The fixated pixels there, from the patch's upper left corner.
    driving : dict of float32 arrays, shape (3, h, w)
        What drives the cell, by rule, in the network's input; with ``random`` after the rule,
        what drives the highest unit in that cell where all weights are shuffled. Only of cells
        that fire.
    """

    peak: Peak
    box: tuple[int, int, int, int]
    patch: np.ndarray
    map: np.ndarray
    x: np.ndarray
    y: np.ndarray
    driving: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Sheet:
    """All that is shown of a unit.

    Attributes
    ----------
    layer : str
    unit : int
    level : float
        The value that 1 % of its positions exceed.
    fields : Fields
        The theoretical receptive fields.
    effective : float
        Side in pixels of a square as large as the effective field; NaN if no cell fires.
    linear : float32 array, shape (3, n, n), or None
        The mean gradient at the best cells, in luminance, red–green and blue–yellow; see
        `linear_field`. None where cells see more than a square that moves with them.
    preferred : dict of Shown
        Pictures that the unit prefers, by the method that made them.
    examples : list of Example
    notes : list of str
        What could not be shown, and why.
    """

    layer: str
    unit: int
    level: float
    fields: Fields
    effective: float
    linear: np.ndarray | None
    preferred: dict[str, Shown]
    examples: list[Example]
    notes: list[str]


def example(
    model: Model,
    layer: Layer,
    unit: int,
    peak: Peak,
    fields: Fields,
    stimuli: Stimuli,
    fixations: Fixations,
    random: Model | None,
) -> tuple[Example, np.ndarray | None]:
    """Look at a unit's highest cell in a stimulus.

    Parameters
    ----------
    model : Model
        On the CPU.
    layer : Layer
    unit : int
    peak : Peak
    fields : Fields
    stimuli : Stimuli
    fixations : Fixations
    random : Model, optional
        The control; see `randomised`. Without it, only the gradient is projected back.

    Returns
    -------
    example : Example
    gradient : float32 array, shape (height, width), or None
        How much the cell depends on each pixel of the input, if it fires.

    Raises
    ------
    InputError
        If deconvnet and guided backprop are not defined for the network.
    """
    stimulus = peak.stimulus
    picture = stimuli.read(stimulus)
    box, inner = _boxes(fields, peak, stimulus, model.input_size)
    top, left, bottom, right = box
    whole = activation(model, layer, picture)[unit]
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(whole)[None, None], stimulus.size, mode="bilinear"
    )[0, 0].numpy()
    looked = fixations.of(stimulus.id)
    near = (looked.x >= left) & (looked.x < right) & (looked.y >= top) & (looked.y < bottom)
    found = Example(
        peak,
        box,
        np.asarray(picture)[top:bottom, left:right],
        resized[top:bottom, left:right],
        looked.x[near] - left,
        looked.y[near] - top,
    )
    if peak.value <= 0:
        return found, None
    image = model.images(network_input(picture, model.resize)[None])
    rows, columns = slice(inner[0], inner[2]), slice(inner[1], inner[3])
    cell = (peak.row, peak.column)
    pairs = [] if random is None else [("", model, unit), (" random", random, None)]
    for rule in RULES:
        for ending, one, which in pairs:
            value, shown = driving(one, layer, which, cell, image, rule)
            if one is model and abs(value - peak.value) > 1e-3 * peak.value:
                raise InputError(
                    f"{layer.name}: its network does not go on from what its ReLUs return, so "
                    f"{rule} cannot be computed"
                )
            if value > 0:
                found.driving[rule + ending] = shown[:, rows, columns].numpy()
    _, gradient = driving(model, layer, unit, cell, image, "gradient")
    return found, gradient.abs().sum(0).numpy()


Box = tuple[int, int, int, int]


def _boxes(
    fields: Fields, peak: Peak, stimulus: Stimulus, size: tuple[int, int]
) -> tuple[Box, Box]:
    """Return a cell's field in the stimulus and in the input: whole pixels, cut at the border."""
    sides = zip(fields.of(peak.row, peak.column), (*size, *size), strict=True)
    inner = [min(max(side, 0.0), float(length)) for side, length in sides]
    scale = [own / given for own, given in zip(stimulus.size, size, strict=True)] * 2
    return _whole([side * by for side, by in zip(inner, scale, strict=True)]), _whole(inner)


def _whole(sides: Sequence[float]) -> Box:
    """Round sides outwards, to a pixel at least."""
    top, left = int(sides[0]), int(sides[1])
    bottom, right = (int(np.ceil(side)) for side in sides[2:])
    return top, left, max(bottom, top + 1), max(right, left + 1)


def effective_side(gradients: Sequence[np.ndarray], peaks: Sequence[Peak], fields: Fields) -> float:
    """Return the side of a square as large as a unit's effective field, in pixels of the input.

    The absolute gradients of the unit's highest cells, moved onto each other and averaged; the
    field is where they are above 4.55 % of the highest (Luo et al., "Understanding the effective
    receptive field", NeurIPS 2016).

    Parameters
    ----------
    gradients : sequence of float arrays, shape (height, width)
    peaks : sequence of Peak
        The cells that they are of.
    fields : Fields
    """
    if not gradients:
        return float("nan")
    height, width = gradients[0].shape
    total, counted = np.zeros((2 * height, 2 * width)), np.zeros((2 * height, 2 * width))
    for gradient, peak in zip(gradients, peaks, strict=True):
        top = round(height / 2 - (peak.row - fields.middle[0]) * fields.step[0])
        left = round(width / 2 - (peak.column - fields.middle[1]) * fields.step[1])
        top, left = min(max(top, 0), height), min(max(left, 0), width)
        total[top : top + height, left : left + width] += gradient
        counted[top : top + height, left : left + width] += 1
    mean = total / np.maximum(counted, 1)
    return float(np.sqrt((mean > _EFFECTIVE * mean.max()).sum())) if mean.any() else float("nan")
