"""Run a network over stimuli and score its units as their maps are computed."""

from __future__ import annotations

from contextlib import ExitStack
from copy import deepcopy

import numpy as np
import torch

from ...datasets.errors import InputError
from ..choices import Precision
from ..layers.layers import Layer, reading
from ..networks.device import exact
from ..networks.model import Model
from ..records.columns import layer_units
from .batches import Loaded
from .nss import Targets, region_nss


class Scorer:
    """Scores batches of stimuli against all units of some layers; a context manager.

    Works on a copy of the network.

    Parameters
    ----------
    model : Model
    layers : list of Layer
    device : torch.device
    precision : "fp32" or "bf16"
        Precision of the forward pass; the scoring itself is float32.
    """

    def __init__(
        self, model: Model, layers: list[Layer], device: torch.device, precision: Precision
    ) -> None:
        self.model, self.layers, self.device, self.precision = model, layers, device, precision
        self.columns = {units.name: units.columns for units in layer_units(layers)}

    def __enter__(self) -> Scorer:
        network = deepcopy(self.model.network)  # leave the caller's network alone
        network = network.to(self.device).to(memory_format=torch.channels_last)  # pyright: ignore
        with ExitStack() as stack:
            stack.enter_context(exact(self.device))
            self._forward = stack.enter_context(reading(network, self.layers))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def score(self, loaded: list[Loaded]) -> list[np.ndarray]:
        """Return each stimulus's scores, float32 (its regions, all units).

        Raises
        ------
        InputError
            If the device runs out of memory, or an activation is not finite.
        """
        if not loaded:
            return []
        images = self.model.images(np.stack([stimulus.rgb for stimulus in loaded]), self.device)
        targets = Targets(
            [stimulus.pixels for stimulus in loaded],
            [stimulus.item.stimulus.size for stimulus in loaded],
        )
        counts = targets.counts()
        n_units = sum(layer.units for layer in self.layers)
        scores = torch.empty(sum(counts), n_units, device=self.device)

        def consume(layer: Layer, maps: torch.Tensor) -> None:
            scores[:, self.columns[layer.name]] = region_nss(maps, targets, layer.registration)

        bf16 = self.precision == "bf16"
        try:
            with (
                torch.inference_mode(),
                torch.autocast(self.device.type, torch.bfloat16, enabled=bf16),
            ):
                self._forward(images, consume)
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"{self.device}: out of memory with {len(loaded)} images at a time; "
                "try a smaller --batch-size"
            ) from error
        arrays = np.split(scores.cpu().numpy(), np.cumsum(counts)[:-1])
        for stimulus, rows in zip(loaded, arrays, strict=True):
            self._check_finite(stimulus, rows)
        return arrays

    def _check_finite(self, stimulus: Loaded, scores: np.ndarray) -> None:
        known = scores[[len(x) > 0 for x, _ in stimulus.pixels]]
        wrong = ~np.isfinite(known).all(axis=0)
        if not wrong.any():
            return
        column = int(wrong.argmax())
        name, columns = next(
            (name, units) for name, units in self.columns.items() if column < units.stop
        )
        raise InputError(
            f"{stimulus.item.stimulus.file_name}: unit {column - columns.start} of {name} has "
            "activations that are not finite (try --precision fp32, or check the weights)"
        )
