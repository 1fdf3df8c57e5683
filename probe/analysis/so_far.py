"""A run in progress: the table of the regions that are scored so far."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.files import sha256
from ...datasets.masks.mask_set import MaskSet
from ...datasets.readers.arrays import map_npy
from ..records.columns import layer_units
from ..records.run_info import RunInfo
from ..scoring.batches import items_of
from ..statistics.selectivity import top_units


class SoFar:
    """Follows an unfinished run folder: sums are kept, and only new rows are read.

    Parameters
    ----------
    folder : Path
    masks : Path, optional
        The mask file, if it has moved since the run began.

    Raises
    ------
    InputError
        If the folder holds no unfinished run, or its mask file is missing or another one.
    """

    def __init__(self, folder: Path, masks: Path | None = None) -> None:
        info = RunInfo.read(folder)
        path = masks or (Path(info.paths.masks) if info.paths.masks else None)
        if info.status == "complete" or path is None:
            raise InputError(f"{folder}: expected an unfinished run of a mask file")
        if not path.exists():
            raise InputError(f"{path}: the mask file is missing; name it with --masks")
        if sha256(path) != info.parameters.masks:
            raise InputError(f"{path}: not the mask file of {folder} (its SHA-256 differs)")
        self._path, self._layers = folder / "scores.partial.npy", layer_units(info.layers)
        self._categories = info.categories
        mask_set = MaskSet.read(path)
        names = mask_set.category_of()
        self._category = [
            names[region.category_id] for item in items_of(mask_set) for region in item.regions
        ]
        units = max(layer.columns.stop for layer in self._layers)
        self._sums = np.zeros((len(info.categories), units))
        self._counts = np.zeros(len(info.categories), dtype=np.int64)
        self._read = np.zeros(len(self._category), dtype=bool)

    def table(self) -> pd.DataFrame:
        """Return mean NSS of the ten highest units: layers × categories, NaN where none is scored.

        Raises
        ------
        InputError
            If the scores are not those of the mask file's regions.
        """
        scores = map_npy(self._path)
        if scores.shape != (len(self._category), self._sums.shape[1]):
            raise InputError(f"{self._path}: {scores.shape[0]} rows, not one for each region")
        for row in np.flatnonzero(~self._read):
            if np.isnan(scores[row, 0]):
                continue
            place = self._categories.index(self._category[row])
            self._sums[place] += scores[row]
            self._counts[place] += 1
            self._read[row] = True
        with np.errstate(invalid="ignore"):
            means = self._sums / self._counts[:, None]
        table = {}
        for layer in reversed(self._layers):  # as in a finished run's tables
            own = means[:, layer.columns]
            table[layer.name] = [float(unit[top_units(unit)].mean()) for unit in own]
        return pd.DataFrame.from_dict(table, orient="index", columns=self._categories)
