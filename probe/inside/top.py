"""Where units respond most: their best stimuli, the cells there, and their levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ...datasets.errors import InputError
from ...datasets.progress import Progress
from ...datasets.stimuli import Stimuli, Stimulus
from ..dissection.overlap import Highest
from ..layers.layers import Layer
from ..networks.model import Model, network_input
from ..networks.reader import Reader, not_finite
from ..scoring.loading import load_batches
from ..sources.description import Resize

LEVEL_SHARE = 0.01
"""A unit's level leaves this share of its positions above it (Bau et al. 2020)."""


@dataclass(frozen=True, eq=False)
class Peak:
    """A unit's highest cell in one stimulus.

    Attributes
    ----------
    stimulus : Stimulus
    value : float
    row, column : int
    """

    stimulus: Stimulus
    value: float
    row: int
    column: int


@dataclass(frozen=True, eq=False)
class Top:
    """Where a layer's chosen units respond most.

    Attributes
    ----------
    peaks : dict of list of Peak
        By unit, the highest first; one a stimulus.
    levels : dict of float
        By unit, the value that 1 % of its positions exceed; NaN if that is less than one.
    """

    peaks: dict[int, list[Peak]]
    levels: dict[int, float]


@dataclass(frozen=True)
class _One:
    stimulus: Stimulus


@dataclass(frozen=True, eq=False)
class _Loaded:
    stimulus: Stimulus
    rgb: np.ndarray


@dataclass(frozen=True, eq=False)
class _Pictures:
    """Stimuli in batches, without anything else."""

    stimuli: Stimuli
    batches: list[list[_One]] = field(default_factory=list)

    def load(self, item: _One, resize: Resize) -> _Loaded:
        return _Loaded(item.stimulus, network_input(self.stimuli.read(item.stimulus), resize))


def find_top(
    model: Model,
    layers: Sequence[Layer],
    units: Mapping[str, Sequence[int]],
    stimuli: Stimuli,
    most: int,
    device: torch.device,
    batch_size: int,
    progress: Progress,
) -> dict[str, Top]:
    """Find where units respond most, in one pass over the stimuli.

    Parameters
    ----------
    model : Model
    layers : sequence of Layer
    units : mapping
        The units of each layer, by its name.
    stimuli : Stimuli
    most : int
        Peaks of each unit.
    device : device
    batch_size : int
    progress : Progress

    Returns
    -------
    dict of Top
        By layer.

    Raises
    ------
    InputError
        If an image cannot be read, or an activation is not finite.
    """
    items = [_One(stimulus) for stimulus in stimuli]
    batches = [items[k : k + batch_size] for k in range(0, len(items), batch_size)]
    plan = _Pictures(stimuli, batches)
    highest = {
        layer.name: Highest(
            len(units[layer.name]), layer.height * layer.width * len(items), LEVEL_SHARE
        )
        for layer in layers
    }
    values: dict[str, list[np.ndarray]] = {layer.name: [] for layer in layers}
    cells: dict[str, list[np.ndarray]] = {layer.name: [] for layer in layers}
    reader = Reader(model, list(layers), device, "fp32")
    with progress.task("looking", len(items)) as advance, reader:
        for _, loaded, _ in load_batches(plan, range(len(batches)), model.resize, device):

            def keep(layer: Layer, maps: torch.Tensor, loaded: list[_Loaded] = loaded) -> None:
                own = maps[:, list(units[layer.name])].float()
                finite = own.isfinite().all(-1).all(-1)
                if not finite.all():
                    image, place = (~finite).nonzero()[0].tolist()
                    name = loaded[image].stimulus.file_name
                    raise not_finite(name, layer.name, units[layer.name][place])
                highest[layer.name].add(own.transpose(0, 1).flatten(1))
                best = own.flatten(2).max(-1)
                values[layer.name].append(best.values.cpu().numpy())
                cells[layer.name].append(best.indices.cpu().numpy())

            reader.read([one.rgb for one in loaded], keep)
            advance(len(loaded))
    found = {}
    for layer in layers:
        level = highest[layer.name].level().tolist()
        if LEVEL_SHARE * layer.height * layer.width * len(items) < 1:
            level = [math.nan] * len(level)
        found[layer.name] = Top(
            _peaks(layer, units[layer.name], items, values[layer.name], cells[layer.name], most),
            dict(zip(units[layer.name], level, strict=True)),
        )
    return found


def _peaks(
    layer: Layer,
    units: Sequence[int],
    items: Sequence[_One],
    values: list[np.ndarray],
    cells: list[np.ndarray],
    most: int,
) -> dict[int, list[Peak]]:
    value, cell = np.concatenate(values), np.concatenate(cells)
    peaks = {}
    for place, unit in enumerate(units):
        order = np.argsort(-value[:, place], kind="stable")[:most]
        peaks[unit] = [
            Peak(
                items[k].stimulus,
                float(value[k, place]),
                *(int(one) for one in divmod(cell[k, place], layer.width)),
            )
            for k in order
        ]
    return peaks


def check_units(layer: Layer, units: Sequence[int]) -> None:
    """Refuse units that a layer does not have.

    Raises
    ------
    InputError
        If one is beyond the last.
    """
    for unit in units:
        if not 0 <= unit < layer.units:
            raise InputError(
                f"{layer.name}: has {layer.units} units, numbered from 0; there is no unit {unit}"
            )
