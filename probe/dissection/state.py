"""What an unfinished analysis has found so far, on disk."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from ...datasets.errors import reading
from ...datasets.files import atomic_write, read_bytes

_SECONDS = 20.0


class State:
    """Arrays by name, written now and then into one file, so that an interrupted command goes on.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "unfinished.safetensors"
        self._written, self._took = time.monotonic(), 0.0

    def read(self) -> dict[str, np.ndarray]:
        """Return the arrays; none if nothing was written.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        if not self.path.exists():
            return {}
        with reading(self.path):
            return load(read_bytes(self.path))

    def write(self, arrays: dict[str, np.ndarray]) -> None:
        """Write the arrays atomically."""
        begun = time.monotonic()
        with atomic_write(self.path) as file:
            file.write(save({name: np.ascontiguousarray(one) for name, one in arrays.items()}))
        self._written = time.monotonic()
        self._took = self._written - begun

    @property
    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._written > max(_SECONDS, _SECONDS * self._took)

    def remove(self) -> None:
        """Remove the file, if there is one."""
        self.path.unlink(missing_ok=True)
