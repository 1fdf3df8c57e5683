"""A unit's receptive field in the network's input: all that can reach it."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch

from ...datasets.errors import InputError
from ..layers.layers import Layer, reading
from ..networks.model import Model

Sides = tuple[int, int]
"""Where a field begins, and where it has ended, along one axis in pixels of the input."""


class Fields:
    """The theoretical receptive fields of a layer's cells, in pixels of the network's input.

    What is not a number spreads to everything that it can reach. So the first row of a cell's field
    is the last one from above that leaves the cell untouched by what lies above it, and likewise
    for the other sides. Nothing needs to be known of the network's modules. Fields end at the
    border of the picture.

    Parameters
    ----------
    model : Model
        On the CPU.
    layer : Layer

    Attributes
    ----------
    middle : (row, column)
        The cell in the middle.
    step : (down, across)
        How far the fields of neighbouring cells are apart.

    Raises
    ------
    InputError
        If no pixel reaches the cells.
    """

    def __init__(self, model: Model, layer: Layer) -> None:
        self._model, self._layer = model, layer
        self._known: dict[tuple[int, int], Sides] = {}
        self.middle = layer.height // 2, layer.width // 2
        self.step = self._step(0, layer.height), self._step(1, layer.width)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the field of the cell in the middle."""
        top, left, bottom, right = self.of(*self.middle)
        return bottom - top, right - left

    def of(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Return top, left, bottom, right of a cell's field; bottom and right are beyond it."""
        (top, bottom), (left, right) = self._sides(0, row), self._sides(1, column)
        return top, left, bottom, right

    def _step(self, axis: int, cells: int) -> float:
        """Return how far fields are apart; by the map's size where the border cuts them."""
        length, middle = self._model.input_size[axis], self.middle[axis]
        if middle > 0:
            (begins, ends), (before, ended) = (
                self._sides(axis, one) for one in (middle, middle - 1)
            )
            if begins - before == ends - ended > 0 and before > 0 and ends < length:
                return float(begins - before)
        return length / cells

    def _sides(self, axis: int, place: int) -> Sides:
        """Return the sides of a row of cells (axis 0), or of a column (axis 1)."""
        if (axis, place) not in self._known:
            length = self._model.input_size[axis]

            def reached(first: int, last: int) -> bool:
                image = torch.zeros(1, 3, *self._model.input_size)
                image.narrow(2 + axis, first, last - first).fill_(torch.nan)
                return self._reached(image, axis, place)

            if not reached(0, length):
                raise InputError(f"{self._layer.name}: no pixel reaches its cells")
            begins = _first(length, lambda count: reached(0, count)) - 1
            ends = length - _first(length, lambda count: reached(length - count, length)) + 1
            self._known[axis, place] = begins, ends
        return self._known[axis, place]

    def _reached(self, image: torch.Tensor, axis: int, place: int) -> bool:
        found = False

        def look(_layer: Layer, maps: torch.Tensor) -> None:
            nonlocal found
            found = bool(maps[0].select(1 + axis, place).isnan().any())

        # Fast convolutions compute tiles, in which it would spread too far.
        with (
            warnings.catch_warnings(action="ignore"),  # of devices that are not used here
            torch.backends.mkldnn.flags(enabled=False),
            torch.inference_mode(),
            reading(self._model.network, [self._layer]) as forward,
        ):
            forward(image, look)
        return found


def _first(length: int, true: Callable[[int], bool]) -> int:
    """Return the lowest count from 1 to ``length`` that something holds for, if then for all."""
    low, high = 1, length
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if true(middle) else (middle + 1, high)
    return low
