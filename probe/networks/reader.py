"""Run a network over stimuli, and hand out its layers' maps as they are computed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from typing import Self

import numpy as np
import torch

from ...datasets.errors import InputError
from ..choices import Precision
from ..layers.layers import Layer, reading
from .device import exact
from .model import Model


class Reader:
    """Reads the maps of some layers, batch by batch; a context manager.

    Works on a copy of the network.

    Parameters
    ----------
    model : Model
    layers : list of Layer
    device : torch.device
    precision : "fp32" or "bf16"
        Precision of the forward pass.
    """

    def __init__(
        self, model: Model, layers: list[Layer], device: torch.device, precision: Precision
    ) -> None:
        self.model, self.layers, self.device, self.precision = model, layers, device, precision

    def __enter__(self) -> Self:
        network = deepcopy(self.model.network)  # leave the caller's network alone
        network = network.to(self.device).to(memory_format=torch.channels_last)  # pyright: ignore
        with ExitStack() as stack:
            stack.enter_context(exact(self.device))
            self._forward = stack.enter_context(reading(network, self.layers))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def read(self, rgb: list[np.ndarray], consume: Callable[[Layer, torch.Tensor], None]) -> None:
        """Call ``consume`` with each layer's maps of a batch; see `reading`.

        Parameters
        ----------
        rgb : list of uint8 arrays, shape (height, width, 3)
            Pictures of the network's input size.
        consume : callable
            What it computes is computed as in float32, whatever the network's precision.

        Raises
        ------
        InputError
            If the device runs out of memory.
        """
        images = self.model.images(np.stack(rgb), self.device)

        def full(layer: Layer, maps: torch.Tensor) -> None:
            with torch.autocast(self.device.type, enabled=False):
                consume(layer, maps)

        bf16 = self.precision == "bf16"
        try:
            with (
                torch.inference_mode(),
                torch.autocast(self.device.type, torch.bfloat16, enabled=bf16),
            ):
                self._forward(images, full)
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"{self.device}: out of memory with {len(rgb)} images at a time; "
                "try a smaller --batch-size"
            ) from error


def not_finite(file_name: str, layer: str, unit: int) -> InputError:
    """Return the error that says where activations are not finite."""
    return InputError(
        f"{file_name}: unit {unit} of {layer} has activations that are not finite "
        "(try --precision fp32, or check the weights)"
    )
