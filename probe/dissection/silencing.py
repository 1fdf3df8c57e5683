"""Units set to zero, and the random units that they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch

from ...datasets.errors import InputError
from ..layers.layers import Layer
from ..networks.model import Model

NEAR = 20
"""A random unit is one of this many whose mean activation is nearest."""


class Silenced:
    """A copy of a model, some units of which can be set to zero."""

    def __init__(self, model: Model, layer: Layer) -> None:
        network = deepcopy(model.network)
        self._units, self._calls = np.empty(0, dtype=np.int64), 0

        def silence(_module: object, _inputs: object, output: torch.Tensor) -> torch.Tensor | None:
            self._calls += 1
            if not len(self._units) or self._calls != layer.call:
                return None
            changed = output.clone()
            units = torch.from_numpy(self._units).to(changed.device)
            layer.maps(changed).index_fill_(1, units, 0.0)
            if layer.maps(changed)[:, units].any():  # a copy was filled
                raise InputError(f"{layer.name}: its units cannot be set to zero")
            return changed

        # Scoring copies the network once more; a plain function is shared by the copies.
        network.get_submodule(layer.module).register_forward_hook(silence)
        self.model = replace(model, network=network)

    @contextmanager
    def without(self, units: np.ndarray) -> Iterator[None]:
        """Set units to zero in the next forward pass."""
        self._units, self._calls = units, 0
        yield
        self._units = np.empty(0, dtype=np.int64)


def random_units(
    units: np.ndarray, activations: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw for each unit another one of about the same mean activation.

    Parameters
    ----------
    units : int array, shape (n,)
    activations : float64 array, shape (all units,)
    rng : Generator

    Returns
    -------
    int array, shape (n,)
        Distinct, none of ``units``, each one of the `NEAR` nearest that are left.
    """
    left = np.setdiff1d(np.arange(len(activations)), units)
    drawn = []
    for unit in units:
        order = np.argsort(abs(activations[left] - activations[unit]), kind="stable")
        one = left[order[rng.integers(min(NEAR, len(left)))]]
        drawn.append(one)
        left = left[left != one]
    return np.array(drawn)
