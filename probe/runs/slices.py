"""The slices of a run's fixations: their rows, and the tables of a run folder."""

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
from ..scoring.batches import Loaded, Plan
from ..scoring.slices import looks_of
from ..statistics.slices import (
    DIFFERENCE_COLUMNS,
    SHARE_COLUMNS,
    SLICE_COLUMNS,
    SubjectLooks,
    summarise_shares,
    summarise_slices,
)
from .partial import SLICED
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
class SlicedRows:
    """The rows of ``slices.npy`` and ``looks.npy``, and where subjects looked.

    Attributes
    ----------
    slices : DataFrame
        ``region`` (row of the scores), ``slice`` (number), ``n_fixations``; a row for each of the
        array: region by region.
    looks : DataFrame
        ``region, slice, subject, n_pixels``; a row for each of the array.
    gaze : DataFrame
        See `summarise_shares`.
    first_look : dict
        The first row of ``looks`` of each stimulus, by its first region's row.
    n_slices : int
    """

    slices: pd.DataFrame
    looks: pd.DataFrame
    gaze: pd.DataFrame
    first_look: dict[int, int]
    n_slices: int

    @classmethod
    def of(cls, plan: Plan, progress: Progress = SILENT) -> SlicedRows:
        """Count the rows of a plan that slices its fixations."""
        slicing = plan.slicing
        assert slicing is not None
        n, columns = len(slicing.names), ("region", "slice", "subject", "n_pixels")
        counts: list[int] = []
        looks: list[tuple[int, int, str, int]] = []
        gaze, first = [], {}
        categories, names = plan.masks.category_names(), plan.masks.category_of()
        with progress.task("slicing fixations", plan.n_stimuli) as advance:
            for batch in plan.batches:
                for item in batch:
                    fixations, within = plan.gaze(item)
                    found = looks_of(slicing, fixations, within)
                    first[item.first_row] = len(looks)
                    counts += found.n_fixations
                    sizes = [len(x) for x, _ in found.looks]
                    for r, k, who, size in zip(
                        found.region, found.slice, found.subject, sizes, strict=True
                    ):
                        looks.append((item.first_row + r, k, who, size))
                    there = np.zeros((len(fixations), len(categories)), dtype=np.int64)
                    for region, inside in zip(item.regions, within, strict=True):
                        there[inside, categories.index(names[region.category_id])] = 1
                    table = pd.DataFrame(there)
                    table.insert(0, "image_id", item.stimulus.id)
                    table.insert(1, "subject", fixations.subject.astype(str))
                    table.insert(2, "slice", slicing.of(fixations))
                    table.insert(3, "fixations", 1)
                    keys = ["image_id", "subject", "slice"]
                    gaze.append(table[table["slice"] >= 0].groupby(keys, as_index=False).sum())
                    advance(1)
        slices = pd.DataFrame(
            {
                "region": np.repeat(np.arange(plan.n_regions), n),
                "slice": np.tile(np.arange(n), plan.n_regions),
                "n_fixations": np.array(counts, dtype=np.int64),
            }
        )
        table = pd.DataFrame(looks, columns=list(columns))
        return cls(slices, table, pd.concat(gaze, ignore_index=True), first, n)

    def sizes(self) -> dict[str, int]:
        """Return the number of rows of each of `SLICED`."""
        return {"slices": len(self.slices), "looks": len(self.looks)}

    def placed(self, loaded: Loaded, scores: np.ndarray) -> dict[str, tuple[int, np.ndarray]]:
        """Return where the scores of a stimulus's slices and looks go, and these scores."""
        first, looks = loaded.item.first_row, loaded.looks
        assert looks is not None
        own, subjects = scores[: len(looks.slices)], scores[len(looks.slices) :]
        return {
            "slices": (first * self.n_slices, own),
            "looks": (self.first_look[first], subjects),
        }

    def kept(self, keep: np.ndarray) -> dict[str, np.ndarray]:
        """Return which rows of each array belong to some of the regions, bool (regions,)."""
        return {name: keep[getattr(self, name)["region"]] for name in SLICED}

    def write(self, folder: Path, info: RunInfo, regions: pd.DataFrame, keep: np.ndarray) -> None:
        """Write the tables of the rows of some regions, and the shares of fixations.

        Parameters
        ----------
        folder : Path
            The run folder.
        info : RunInfo
        regions : DataFrame
            The regions that are kept; see `Run`.
        keep : bool array, shape (regions,)
        """
        by = info.parameters.by
        assert by is not None
        ids = np.zeros(len(keep), dtype=np.int64)
        ids[keep] = regions["annotation_id"]
        for name in SLICED:
            table: pd.DataFrame = getattr(self, name)
            table = table[keep[table["region"]]]
            shown = table.assign(
                region=ids[table["region"]],
                slice=np.array(by.names, dtype=object)[table["slice"]],
            ).rename(columns={"region": "annotation_id"})
            write_table(folder, name, shown.reset_index(drop=True))
        gaze = self.gaze[self.gaze["image_id"].isin(regions["image_id"])]
        write_table(folder, "by_shares", summarise_shares(gaze, info.categories, by.names))


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
