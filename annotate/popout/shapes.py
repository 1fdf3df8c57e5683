"""Shapes as signed distances in pixels: negative inside, exact at the edge.

Each function here returns a `Shape`, which takes x and y, float arrays relative to the item's
centre (y downwards), and returns the distance to the shape's edge. Both an anti-aliased picture
and an exact mask follow from it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]


def disc(radius: float) -> Shape:
    """Return a filled circle."""
    return lambda x, y: np.hypot(x, y) - radius


def bar(length: float, width: float) -> Shape:
    """Return an upright bar."""
    return box(width, length)


def box(width: float, height: float) -> Shape:
    """Return a rectangle."""

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        right, down = np.abs(x) - width / 2, np.abs(y) - height / 2
        outside = np.hypot(np.maximum(right, 0), np.maximum(down, 0))
        return outside + np.minimum(np.maximum(right, down), 0)

    return distance


def polygon(sides: int, radius: float) -> Shape:
    """Return a regular polygon, corner up, with the area of a circle of ``radius``."""
    corner = radius * np.sqrt(2 * np.pi / (sides * np.sin(2 * np.pi / sides)))
    inner = corner * np.cos(np.pi / sides)

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        turns = 2 * np.pi * (np.arange(sides) + 0.5) / sides
        normals = np.stack([np.sin(turns), -np.cos(turns)])
        return (np.tensordot(x, normals[0], 0) + np.tensordot(y, normals[1], 0)).max(-1) - inner

    return distance


def ring(radius: float, width: float, gap: float = 0.0) -> Shape:
    """Return the outline of a circle, with a gap of ``gap`` degrees on the right."""

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        line = np.abs(np.hypot(x, y) - radius) - width / 2
        if gap == 0:
            return line
        half = np.radians(gap) / 2
        # Distance to the wedge cut out, which is bounded by two half-lines.
        wedge = np.where(
            np.abs(np.arctan2(y, x)) < half,
            -np.hypot(x, y) * np.sin(half - np.abs(np.arctan2(y, x))),
            np.hypot(x, y) * np.sin(np.clip(np.abs(np.arctan2(y, x)) - half, 0, np.pi / 2)),
        )
        return np.maximum(line, -wedge)

    return distance


def arc(length: float, width: float, bend: float) -> Shape:
    """Return an upright line of a given length that bends by ``bend`` degrees."""
    if bend == 0:
        return bar(length, width)
    half = np.radians(bend) / 2
    radius = length / (2 * half)

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x = x + radius * (1 + np.cos(half)) / 2  # centres the middle of the arc
        angle = np.clip(np.arctan2(y, x), -half, half)
        nearest = np.hypot(x - radius * np.cos(angle), y - radius * np.sin(angle))
        return nearest - width / 2

    return distance


def line(x1: float, y1: float, x2: float, y2: float, width: float) -> Shape:
    """Return a straight line with round ends.

    Parameters
    ----------
    x1, y1, x2, y2 : float
        The two ends, in pixels from the item's centre.
    width : float
    """
    dx, dy = x2 - x1, y2 - y1
    square = dx * dx + dy * dy

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        along = np.clip(((x - x1) * dx + (y - y1) * dy) / square, 0, 1)
        return np.hypot(x - x1 - along * dx, y - y1 - along * dy) - width / 2

    return distance


def moved(shape: Shape, dx: float, dy: float) -> Shape:
    """Return a shape moved by (dx, dy) pixels."""
    return lambda x, y: shape(x - dx, y - dy)


def joined(*shapes: Shape) -> Shape:
    """Return the union of shapes."""
    return lambda x, y: reduce(np.minimum, (shape(x, y) for shape in shapes))


def outlined(shape: Shape, width: float) -> Shape:
    """Return a line of ``width`` pixels inside a shape's edge."""
    return lambda x, y: np.maximum((d := shape(x, y)), -d - width)
