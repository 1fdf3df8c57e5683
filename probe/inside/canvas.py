"""What a unit's cell is shown when pictures are made for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...datasets.errors import InputError
from ..fields.rectifiers import maps_before_relu
from ..fields.windows import Window, measure_window
from ..layers.layers import Layer
from ..networks.model import Model
from .top import Peak


@dataclass(frozen=True, eq=False)
class Canvas:
    """The part of a network's input that one cell of a layer sees, or all of it.

    Attributes
    ----------
    model : Model
    layer : Layer
    window : Window or None
        None if cells see more than a square of the input that moves with them; then the cell in
        the middle is shown whole inputs.
    why : str
        Why there is no window.
    """

    model: Model
    layer: Layer
    window: Window | None
    why: str = ""

    @classmethod
    def of(cls, model: Model, layer: Layer) -> Canvas:
        """Measure what a layer's cells see."""
        try:
            return cls(model, layer, measure_window(model, layer))
        except InputError as error:
            return cls(model, layer, None, str(error))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        if self.window is None:
            return self.model.input_size
        return self.window.patch, self.window.patch

    @property
    def grey(self) -> torch.Tensor:
        """The network's mean colour, (3,), in 0 to 1."""
        return torch.tensor(self.model.mean) / self.model.range

    def respond(
        self, unit: int, cells: Sequence[tuple[int, int]] | None = None
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return what computes a unit's responses to pictures, before its ReLU.

        Parameters
        ----------
        unit : int
        cells : sequence of (row, column), optional
            Of whole inputs, one for each picture; by default the one in the middle.
        """
        model, layer, window = self.model, self.layer, self.window
        mean, sd = (torch.tensor(values)[:, None, None] for values in (model.mean, model.sd))

        def respond(pictures: torch.Tensor) -> torch.Tensor:
            images = (pictures * model.range - mean) / sd
            if window is not None:
                return window.responses(images)[:, unit]
            maps = maps_before_relu(model.network, layer, images)[:, unit]
            chosen = cells or [(layer.height // 2, layer.width // 2)] * len(maps)
            rows, columns = zip(*chosen, strict=True)
            return maps[range(len(maps)), rows, columns]

        return respond

    def patch(self, peak: Peak, rgb: np.ndarray) -> np.ndarray | None:
        """Return what a unit's highest cell sees of a stimulus.

        Parameters
        ----------
        peak : Peak
        rgb : uint8 array, shape (height, width, 3)
            The network's input.

        Returns
        -------
        uint8 array, shape (*size, 3), or None
            None if the cell's field reaches beyond the stimulus.
        """
        if self.window is None:
            return rgb
        row, column = peak.row - self.window.cell, peak.column - self.window.cell
        if min(row, column) < 0:
            return None
        cut = self.window.cut(rgb, row, column)
        return cut if cut.shape[:2] == self.size else None
