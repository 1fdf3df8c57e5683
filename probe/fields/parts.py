"""Finished parts of a long computation, kept in a folder so that another call goes on."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.errors import reading
from ...datasets.files import atomic_write, read_bytes


@dataclass(frozen=True)
class Parts:
    """Results in a folder, each known by all that it depends on.

    Attributes
    ----------
    folder : Path
        Exists.
    identity : str
        What every part depends on.
    """

    folder: Path
    identity: str

    def array(self, name: str, shape: Sequence[int], make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return a part that is an array of numbers, from the folder or made and kept there.

        Raises
        ------
        InputError
            If its file is damaged, or holds an array of another shape.
        """
        path = self.path(name, ".npy")
        if not path.exists():
            made = make()
            with atomic_write(path) as file:
                np.save(file, made, allow_pickle=False)
        content = read_bytes(path)
        with reading(path):
            found = np.load(io.BytesIO(content), allow_pickle=False)
            if found.shape != tuple(shape):
                raise ValueError(f"an array of {found.shape}; expected {tuple(shape)}")
            return found

    def table(self, name: str, rows: int, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Return a part that is a table of so many rows; see `array`."""
        path = self.path(name, ".parquet")
        if not path.exists():
            made = make()
            with atomic_write(path) as file:
                made.to_parquet(file, index=False)
        content = read_bytes(path)
        with reading(path):
            found = pd.read_parquet(io.BytesIO(content))
            if len(found) != rows:
                raise ValueError(f"{len(found)} rows; expected {rows}")
            return found

    def path(self, name: str, suffix: str = ".npy") -> Path:
        """Return the path of a part, which may not be there yet."""
        whole = json.dumps([self.identity, name])
        return self.folder / f"{hashlib.sha256(whole.encode()).hexdigest()[:24]}{suffix}"
