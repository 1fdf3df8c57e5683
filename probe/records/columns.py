"""Which columns of ``scores.npy`` belong to which layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class HasUnits(Protocol):
    """A layer: traced in a network, or read from ``run.json``."""

    @property
    def name(self) -> str:
        """The layer's name."""
        ...

    @property
    def units(self) -> int:
        """Number of units."""
        ...


@dataclass(frozen=True)
class LayerUnits:
    """A layer's name, and the columns of the scores that hold its units."""

    name: str
    columns: slice


def layer_units(layers: Iterable[HasUnits]) -> list[LayerUnits]:
    """Return each layer's columns: layer by layer, in the order given."""
    columns, start = [], 0
    for layer in layers:
        columns.append(LayerUnits(layer.name, slice(start, start + layer.units)))
        start += layer.units
    return columns
