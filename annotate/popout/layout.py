"""Positions of the items of an array."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from ...datasets.errors import InputError

Layout = Literal["grid", "jittered", "random"]

_TRIES = 4000


def positions(
    layout: Layout, items: int, height: int, width: int, size: float, rng: np.random.Generator
) -> np.ndarray:
    """Place items so that none overlaps another or the edge.

    Parameters
    ----------
    layout : "grid", "jittered" or "random"
        Jittered items move from their grid position as far as there is room, by at most a third
        of a cell.
    items : int
        Number of items.
    height, width : int
        Size of the array in pixels.
    size : float
        Diameter of the space for an item, in pixels.
    rng : Generator

    Returns
    -------
    float array, shape (items, 2)
        Centres (x, y), in random order.

    Raises
    ------
    InputError
        If the items do not fit.
    """
    if layout == "random":
        return _random(items, height, width, size, rng)
    columns = max(1, round(math.sqrt(items * width / height)))
    rows = math.ceil(items / columns)
    cell = min(width / columns, height / rows)
    if cell < size:
        raise InputError(_too_many(items, height, width, size))
    x = (np.arange(columns) - (columns - 1) / 2) * cell + width / 2
    y = (np.arange(rows) - (rows - 1) / 2) * cell + height / 2
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    # Which cells stay empty is random.
    places = places[rng.permutation(len(places))[:items]]
    if layout == "jittered":
        room = min((cell - size) / 2, cell / 3)
        places = places + rng.uniform(-room, room, places.shape)
    return places


def _random(
    items: int, height: int, width: int, size: float, rng: np.random.Generator
) -> np.ndarray:
    places = np.empty((0, 2))
    low, high = np.full(2, size / 2), np.array([width, height]) - size / 2
    if (high <= low).any():
        raise InputError(_too_many(items, height, width, size))
    for candidate in rng.uniform(low, high, (_TRIES, 2)):
        if not len(places) or ((places - candidate) ** 2).sum(axis=1).min() >= size**2:
            places = np.vstack([places, candidate])
            if len(places) == items:
                return places
    raise InputError(_too_many(items, height, width, size))


def _too_many(items: int, height: int, width: int, size: float) -> str:
    return f"{items} items of {size:.0f} pixels do not fit into {width}×{height}"
