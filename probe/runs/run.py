"""The run folder: the result of probing one model on one mask set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...datasets.texts import html_table, printable
from ..records.columns import LayerUnits, layer_units
from ..records.run_info import RunInfo


@dataclass(frozen=True, eq=False)
class Run:
    """A complete run, read from its folder.

    Attributes
    ----------
    folder : Path
    info : RunInfo
        The content of ``run.json``: command, parameters, versions, hashes, layers …

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> gaze = "sample/fixations.csv"
    >>> sp.probe("sample/masks.json", model="gabor", fixations=gaze, out="run").folder.name
    'run'
    >>> run = sp.Run.open("run")
    >>> list(run.best_units("text").columns)
    ['layer', 'unit', 'mean', 'sd', 'n', 'name']
    >>> run.scores_of("log_gabor").shape == (len(run.regions), 24)
    True
    """

    folder: Path
    info: RunInfo

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Open a run folder, checking that its files belong together.

        Raises
        ------
        InputError
            If the folder holds no run, or the run is unfinished or damaged.
        """
        folder = Path(folder)
        info = RunInfo.read(folder)
        if info.status != "complete":
            raise InputError(f"{folder}: this run is unfinished; repeat its command to resume it")
        run = cls(folder, info)
        expected = (len(run.regions), sum(layer.units for layer in info.layers))
        if run.scores.shape != expected or run.scores.dtype != np.float32:
            raise InputError(
                f"{folder / 'scores.npy'}: expected float32 {expected}, "
                f"got {run.scores.dtype} {run.scores.shape}"
            )
        return run

    def __repr__(self) -> str:
        return f"Run({printable(self.name)}: {self.describe()})"

    def _repr_html_(self) -> str:
        table = self.table()
        title = f"{self.describe()}: mean NSS of the ten best units of each layer"
        rows = (
            (layer, *("–" if np.isnan(value) else f"{value:.2f}" for value in values))
            for layer, values in zip(table.index, table.to_numpy(np.float64), strict=True)
        )
        return html_table(title, ("", *table.columns), rows)

    def describe(self) -> str:
        """Describe the run in one line: network, masks, numbers of images and regions."""
        parameters, info = self.info.parameters, self.info
        origin = parameters.weights.file or parameters.weights.source
        network = parameters.model + ("" if origin == "none" else f" ({origin})")
        gaze = "SIMULATED gaze, " if info.simulated else ""
        return printable(
            f"{network} on {info.masks or info.dataset or 'masks'}: "
            f"{gaze}{info.images} images, {info.regions} regions"
        )

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @cached_property
    def scores(self) -> np.ndarray:
        """NSS of every region (row) and unit (column), float32, memory-mapped.

        Raises
        ------
        InputError
            If ``scores.npy`` cannot be read.
        """
        path = self.folder / "scores.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error

    @cached_property
    def regions(self) -> pd.DataFrame:
        """``annotation_id, image_id, category, n_fixations``, one row per row of the scores."""
        return self._table("regions", ["annotation_id", "image_id", "category", "n_fixations"])

    @cached_property
    def units(self) -> pd.DataFrame:
        """``layer, unit, category, mean, sd, n``."""
        return self._table("units", ["layer", "unit", "category", "mean", "sd", "n"])

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Statistics of each layer and category; the columns are those of `summarise`."""
        return self._table("summary", ["layer", "category", "top10_mean", "top10_crossval"])

    @cached_property
    def layers(self) -> list[LayerUnits]:
        """The layers and their columns in the scores."""
        return layer_units(self.info.layers)

    @property
    def categories(self) -> list[str]:
        """The categories, in the order of their ids."""
        return self.info.categories

    def scores_of(self, layer: str) -> np.ndarray:
        """Return the scores of one layer's units, float32 (regions, units of the layer).

        Raises
        ------
        InputError
            If the run has no such layer.
        """
        for known in self.layers:
            if known.name == layer:
                return self.scores[:, known.columns]
        raise InputError(f"{self.folder}: no layer {layer!r} in this run")

    def table(self, column: str = "top10_mean") -> pd.DataFrame:
        """Return one column of the summary as layers × categories, the last layer first."""
        wide = self.summary.pivot(index="layer", columns="category", values=column)
        names = [layer.name for layer in reversed(self.info.layers)]
        return wide.loc[names, self.categories].rename_axis(index=None, columns=None)

    def best_units(self, category: str) -> pd.DataFrame:
        """Return all units, the best for a category first, with their names if they have any.

        Returns
        -------
        DataFrame
            ``layer, unit, mean, sd, n`` and, where units have names, ``name``.

        Raises
        ------
        InputError
            If the run has no such category.
        """
        if category not in self.categories:
            raise InputError(
                f"no category {category!r} in this run; expected {', '.join(self.categories)}"
            )
        units = self.units[self.units["category"] == category].drop(columns="category")
        names = {
            (layer.name, index): name
            for layer in self.info.layers
            for index, name in enumerate(layer.unit_names)
        }
        if names:
            keys = zip(units["layer"], units["unit"], strict=True)
            units = units.assign(name=[names.get(key, "") for key in keys])
        return units.sort_values("mean", ascending=False, kind="stable", ignore_index=True)

    def _table(self, name: str, columns: list[str]) -> pd.DataFrame:
        path = self.folder / f"{name}.parquet"
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error
        missing = [column for column in columns if column not in table]
        if missing:
            raise InputError(f"{path}: column {missing[0]!r} is missing")
        return table


def write_table(folder: Path, name: str, table: pd.DataFrame) -> None:
    """Write a table as ``<name>.parquet`` in a folder, atomically."""
    with atomic_write(folder / f"{name}.parquet") as file:
        table.to_parquet(file, index=False)
