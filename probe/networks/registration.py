"""Where the cells of a layer's maps lie in the picture, measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from .layers import Layer, reading
from .model import Model, network_input

_SIDE = 4  # cells along each axis that are looked at
_INNER = (0.2, 0.8)  # of the map, where they lie: at its border, fields are cut


@dataclass(frozen=True)
class Registration:
    """Where a map lies in its picture, in parts of the picture's height and width.

    Attributes
    ----------
    top, left : float
        Where the first row and column of cells begin; 0 if nothing is measured.
    rows, columns : float
        How much of the picture each takes; 1 / their number if nothing is measured.
    """

    top: float
    left: float
    rows: float
    columns: float

    def axes(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return offset and scale down, and across."""
        return (self.top, self.rows), (self.left, self.columns)


def measure(
    model: Model, layers: Sequence[Layer], pictures: Sequence[Image.Image], seed: int = 0
) -> dict[str, Registration]:
    """Measure where each layer's cells look: the centroid of what changes them.

    Of a cell, the gradient of a random mixture of its units is taken with respect to the picture;
    squared, it is a density whose centroid is where the cell looks. A line through the centroids
    of 4×4 cells, averaged over the pictures, gives offset and scale along each axis.

    Parameters
    ----------
    model : Model
        With trained weights; on the CPU.
    layers : sequence of Layer
    pictures : sequence of Image
        RGB.
    seed : int
        Of the mixtures.

    Returns
    -------
    dict of Registration
        By layer.
    """
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[np.ndarray]] = {layer.name: [] for layer in layers}
    for picture in pictures:
        image = model.images(network_input(picture, model.resize)[None])
        batch = image.repeat(_SIDE**2, 1, 1, 1).requires_grad_(True)

        def centroids(layer: Layer, maps: torch.Tensor, batch: torch.Tensor = batch) -> None:
            mixture = torch.randn(_SIDE**2, maps.shape[1], generator=generator)
            rows, columns = np.meshgrid(*map(_cells, maps.shape[2:]), indexing="ij")
            cells = maps[np.arange(_SIDE**2), :, rows.ravel(), columns.ravel()]
            (gradient,) = torch.autograd.grad((cells * mixture).sum(), batch, retain_graph=True)
            power = gradient.double().square().sum(1)
            total = power.sum((1, 2)).clamp_min(1e-300)
            sides = [torch.arange(0.5, side) / side for side in power.shape[1:]]
            down = (power.sum(2) @ sides[0].double()) / total
            across = (power.sum(1) @ sides[1].double()) / total
            found[layer.name].append(torch.stack([down, across]).numpy())

        with torch.enable_grad(), reading(model.network, layers) as forward:
            forward(batch, centroids)
    return {layer.name: _fitted(layer, np.mean(found[layer.name], axis=0)) for layer in layers}


def _cells(count: int) -> np.ndarray:
    return np.linspace(*(part * (count - 1) for part in _INNER), _SIDE).round().astype(int)


def _fitted(layer: Layer, centroids: np.ndarray) -> Registration:
    """Fit offset and scale to centroids, (2, cells)."""
    lines = []
    for axis, count in enumerate((layer.height, layer.width)):
        where = centroids[axis].reshape(_SIDE, _SIDE).mean(axis=1 - axis)
        step, offset = np.polyfit(_cells(count) + 0.5, where, 1)
        lines.append((offset, step))
    (top, rows), (left, columns) = lines
    return Registration(float(top), float(left), float(rows), float(columns))
