"""The slices of a run's fixations: the tables of a run folder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.progress import SILENT, Progress
from ...datasets.readers.arrays import map_npy
from ...datasets.readers.tables import read_columns
from ..records.columns import layer_units
from ..records.run_info import RunInfo
from ..statistics.slices import (
    DIFFERENCE_COLUMNS,
    SHARE_COLUMNS,
    SLICE_COLUMNS,
    SubjectLooks,
    summarise_slices,
)
from .tables import write_table

_TEXTS = ("layer", "category", "slice", "less", "subject")
_WHOLE = (
    *("annotation_id", "n_fixations", "n_pixels", "regions", "without_fixations"),
    *("stimuli", "subjects", "fixations"),
)
_RESULTS = {
    "by": SLICE_COLUMNS,
    "by_differences": DIFFERENCE_COLUMNS,
    "by_shares": SHARE_COLUMNS,
}


@dataclass(frozen=True, eq=False)
class Slices:
    """What a run's units score by slices of the fixations.

    Attributes
    ----------
    folder : Path
        The run folder.
    info : RunInfo
    """

    folder: Path
    info: RunInfo

    @property
    def names(self) -> list[str]:
        """The slices' names."""
        by = self.info.parameters.by
        return [] if by is None else by.names

    @cached_property
    def table(self) -> pd.DataFrame:
        """Means by layer, category and slice; see `summarise_slices`."""
        return self._result("by")

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Differences of slices by layer and category; see `summarise_slices`."""
        return self._result("by_differences")

    @cached_property
    def shares(self) -> pd.DataFrame:
        """Where subjects look: shares of the fixations by category; see `summarise_shares`."""
        return self._result("by_shares")

    def _result(self, name: str) -> pd.DataFrame:
        columns = _RESULTS[name]
        path = self.folder / f"{name}.parquet"
        table = _read(path, columns)
        known = {
            "layer": [layer.name for layer in self.info.layers],
            "category": self.info.categories,
            "slice": self.names,
            "less": self.names,
        }
        keys = [key for key in known if key in columns]
        for key in keys:
            strange = set(table[key]).difference(known[key])
            if strange:
                raise InputError(
                    f"{path}: does not belong to run.json, which has no {key} {min(strange)!r}"
                )
        n = len(self.names)
        rows = n * (n - 1) // 2 if "less" in keys else n
        rows *= len(known["category"]) * (len(known["layer"]) if "layer" in keys else 1)
        if len(table) != rows or table.duplicated(keys).any():
            raise InputError(f"{path}: does not belong to run.json: expected {rows} rows")
        return table


def complete_slices(
    folder: Path,
    info: RunInfo,
    scores: np.ndarray,
    regions: pd.DataFrame,
    progress: Progress = SILENT,
) -> None:
    """Compute the statistics of a folder's slices, and write them."""
    by = info.parameters.by
    assert by is not None
    slices = _read(folder / "slices.parquet", ("annotation_id", "slice", "n_fixations"))
    looks = _read(folder / "looks.parquet", ("annotation_id", "slice", "subject", "n_pixels"))
    place = pd.Series(np.arange(len(regions)), index=regions["annotation_id"])
    subject = np.unique(looks["subject"], return_inverse=True)[1]
    number = pd.Series(range(len(by.names)), index=by.names)
    table, differences = summarise_slices(
        *(scores, map_npy(folder / "slices.npy"), slices["n_fixations"].to_numpy()),
        SubjectLooks(
            place.loc[looks["annotation_id"]].to_numpy(),
            number.loc[looks["slice"]].to_numpy(),
            subject,
            looks["n_pixels"].to_numpy(),
            map_npy(folder / "looks.npy"),
        ),
        *(regions, layer_units(info.layers), info.categories, by.names),
        seed=info.parameters.seed,
        progress=progress,
    )
    write_table(folder, "by", table)
    write_table(folder, "by_differences", differences)


def _read(path: Path, columns: Collection[str]) -> pd.DataFrame:
    texts, whole = ([name for name in columns if name in kind] for kind in (_TEXTS, _WHOLE))
    numbers = [name for name in columns if name not in (*texts, *whole)]
    return read_columns(path, texts, whole, numbers)[list(columns)]
