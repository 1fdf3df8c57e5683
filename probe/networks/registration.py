"""Where the cells of a layer's maps lie in the picture, measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from PIL import Image

from ...datasets.errors import InputError
from ...datasets.progress import Advance
from ..layers.layers import Layer, reading
from ..records.run_info import Registration
from .model import Model, network_input

_SIDE = 4  # cells along each axis that are looked at
_INNER = (0.2, 0.8)  # of the map, where they lie: at its border, fields are cut


def measure_registration(
    model: Model,
    layers: Sequence[Layer],
    pictures: Iterable[Image.Image],
    *,
    seed: int = 0,
    advance: Advance = lambda steps: None,
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
    pictures : iterable of Image
        RGB.
    seed : int
        Of the mixtures.
    advance : callable
        Called after each picture with 1.

    Returns
    -------
    dict of Registration
        By layer. A layer is missing if its cells see the picture as a whole (their centroids lie
        less than half or more than twice as far apart as the cells would), if no picture changes
        them, or if it has one only.

    Raises
    ------
    InputError
        If the network cannot be differentiated, or there is no picture.

    Notes
    -----
    What a network's arithmetic says (its kernels, strides and padding) is where a cell could look;
    trained weights undo part of it.
    """
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[np.ndarray]] = {layer.name: [] for layer in layers}
    seen = 0
    for seen, picture in enumerate(pictures, start=1):  # noqa: B007
        image = model.images(network_input(picture, model.resize)[None])
        batch = image.repeat(_SIDE**2, 1, 1, 1).requires_grad_(True)

        def keep(layer: Layer, maps: torch.Tensor, batch: torch.Tensor = batch) -> None:
            if not maps.requires_grad:  # no picture changes it
                return
            mixture = torch.randn(_SIDE**2, maps.shape[1], generator=generator)
            rows, columns = np.meshgrid(*map(_cells, maps.shape[2:]), indexing="ij")
            cells = maps[np.arange(_SIDE**2), :, rows.ravel(), columns.ravel()]
            (gradient,) = torch.autograd.grad(
                (cells * mixture).sum(), batch, retain_graph=True, allow_unused=True
            )
            if gradient is not None:
                found[layer.name].append(_centroids(gradient.double().square().sum(1)))

        try:
            with torch.enable_grad(), reading(model.network, layers) as forward:
                forward(batch, keep)
        except RuntimeError as error:  # in anybody's code
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"{model.name}: cannot be differentiated, so where its cells look cannot be "
                f"measured: {reason}"
            ) from error
        advance(1)
    if not seen:
        raise InputError(f"{model.name}: no picture to measure where its cells look")
    if not any(found.values()):
        raise InputError(
            f"{model.name}: cannot be differentiated, so where its cells look cannot be measured"
        )
    fitted = {
        layer.name: _fitted(layer, np.mean(found[layer.name], axis=0))
        for layer in layers
        if found[layer.name]
    }
    return {name: one for name, one in fitted.items() if one is not None}


def in_pixels(registration: Registration, size: tuple[int, int]) -> str:
    """Say where cells lie in pixels of an input of a size."""
    down, across = (
        f"{step * side:.1f} px from {start * side:+.1f}"
        for (start, step), side in zip(registration.axes(), size, strict=True)
    )
    return f"down {down}, across {across}"


def _centroids(power: torch.Tensor) -> np.ndarray:
    """Return the centroids of densities (n, height, width), in parts of both: (2, n)."""
    total = power.sum((1, 2))
    sides = [(torch.arange(side) + 0.5).double() / side for side in power.shape[1:]]
    return torch.stack([power.sum(2) @ sides[0] / total, power.sum(1) @ sides[1] / total]).numpy()


def _cells(count: int) -> np.ndarray:
    first, last = (part * (count - 1) for part in _INNER)
    return np.linspace(first, last, _SIDE).round().astype(int)


def _fitted(layer: Layer, centroids: np.ndarray) -> Registration | None:
    """Fit offset and scale to centroids, (2, cells)."""
    lines = []
    for axis, count in enumerate((layer.height, layer.width)):
        where = centroids[axis].reshape(_SIDE, _SIDE).mean(axis=1 - axis)
        if count == 1 or not np.isfinite(where).all():
            return None
        step, start = np.polyfit(_cells(count) + 0.5, where, 1)
        if not 0.5 < step * count < 2:
            return None
        lines.append((float(start), float(step)))
    (top, rows), (left, columns) = lines
    return Registration(top, left, rows, columns)
