"""Run a network over stimuli and score its units as their maps are computed."""

from __future__ import annotations

import numpy as np
import torch

from ..choices import Precision
from ..layers.layers import Layer
from ..networks.model import Model
from ..networks.reader import Reader, not_finite
from ..records.columns import layer_units
from .batches import Loaded
from .nss import Targets, region_nss


class Scorer(Reader):
    """Scores batches of stimuli against all units of some layers; see `Reader`.

    The scoring itself is float32.
    """

    def __init__(
        self, model: Model, layers: list[Layer], device: torch.device, precision: Precision
    ) -> None:
        super().__init__(model, layers, device, precision)
        self.columns = {units.name: units.columns for units in layer_units(layers)}

    def score(self, loaded: list[Loaded]) -> list[np.ndarray]:
        """Return each stimulus's scores, float32 (its regions, all units).

        Raises
        ------
        InputError
            If the device runs out of memory, or an activation is not finite.
        """
        if not loaded:
            return []
        targets = Targets(
            [stimulus.pixels for stimulus in loaded],
            [stimulus.item.stimulus.size for stimulus in loaded],
        )
        counts = targets.counts()
        n_units = sum(layer.units for layer in self.layers)
        scores = torch.empty(sum(counts), n_units, device=self.device)

        def consume(layer: Layer, maps: torch.Tensor) -> None:
            scores[:, self.columns[layer.name]] = region_nss(maps, targets, layer.registration)

        self.read([stimulus.rgb for stimulus in loaded], consume)
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
        raise not_finite(stimulus.item.stimulus.file_name, name, column - columns.start)
