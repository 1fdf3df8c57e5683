"""What an unfinished explanation has summed up so far, in memory and on disk."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...datasets.readers.arrays import read_npy

SAVE_EVERY_S = 60.0
"""Seconds between two copies on disk, at least."""


class State:
    """Arrays that grow with nothing, as parts of one vector that is written as a whole.

    Parameters
    ----------
    path : Path
        A file of NumPy's, float64; what it holds is gone on with.
    shapes : mapping of tuple of int
        The arrays' shapes by their names.

    Attributes
    ----------
    done : int
        Number of stimuli that are in the sums.

    Raises
    ------
    InputError
        If the file is damaged or of another explanation.
    """

    def __init__(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._path = path
        sizes = [math.prod(shape) for shape in shapes.values()]
        if path.exists():
            self._vector = read_npy(path)
            if self._vector.dtype != np.float64 or self._vector.shape != (1 + sum(sizes),):
                raise InputError(f"{path}: is damaged; remove it to begin anew")
            if not np.isfinite(self._vector).all() or not self._vector[0].is_integer():
                raise InputError(f"{path}: is damaged; remove it to begin anew")
        else:
            self._vector = np.zeros(1 + sum(sizes))
        starts = np.cumsum([1, *sizes])
        self._arrays = {
            name: self._vector[start : start + size].reshape(shape)
            for (name, shape), start, size in zip(shapes.items(), starts, sizes, strict=False)
        }
        self._saved = time.monotonic()

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    @property
    def done(self) -> int:
        """Number of stimuli that are in the sums."""
        return int(self._vector[0])

    def advance(self) -> None:
        """Count a stimulus whose sums are complete; now and then, write everything."""
        self._vector[0] += 1
        if time.monotonic() - self._saved >= SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write everything.

        Raises
        ------
        InputError
            If the disk is full or fails.
        """
        with atomic_write(self._path) as file:
            np.save(file, self._vector)
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)
