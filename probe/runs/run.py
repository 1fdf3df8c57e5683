"""The run folder: the result of probing one model on one mask set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.interval import Interval
from ...datasets.readers.arrays import map_npy
from ...datasets.readers.tables import read_columns
from ...datasets.texts import html_table, printable
from ..records.columns import LayerUnits, layer_units
from ..records.run_info import RunInfo
from ..statistics.clusters import widened_for_selection
from ..statistics.cross_fit import cross_fit
from ..statistics.selectivity import SUMMARY_COLUMNS, UNIT_COLUMNS, fold_means, groups, summarise
from .slices import Slices

_TEXTS = ("layer", "category", "sha256")
_WHOLE = ("annotation_id", "image_id", "n_fixations", "unit", "n", "above_threshold")
_KEYS = {
    "regions": ["annotation_id"],
    "images": ["image_id"],
    "units": ["layer", "unit", "category"],
    "summary": ["layer", "category"],
}
"""What no two rows of a table have in common."""


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
    ['layer', 'unit', 'mean', 'mean_low', ..., 'sd', 'n', 'name']
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
        _ = run.scores, run.shuffled
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
        info = self.info
        gaze = "SIMULATED gaze, " if info.simulated else ""
        return printable(
            f"{info.parameters.network()} on {info.masks or info.dataset or 'masks'}: "
            f"{gaze}{info.images} images, {info.regions} regions"
        )

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @cached_property
    def shuffled(self) -> np.ndarray | None:
        """NSS of the same maps at regions of the same category from other stimuli.

        float32 as `scores`; None in a run that was made before these were scored.
        """
        if not (self.folder / "shuffled.npy").exists():
            return None
        return self._array("shuffled")

    @cached_property
    def scores(self) -> np.ndarray:
        """NSS of every region (row) and unit (column), float32, memory-mapped.

        Raises
        ------
        InputError
            If ``scores.npy`` cannot be read.
        """
        return self._array("scores")

    @cached_property
    def regions(self) -> pd.DataFrame:
        """``annotation_id, image_id, category, n_fixations, ceiling``, a row for each of scores."""
        path = self.folder / "regions.parquet"
        columns = ["annotation_id", "image_id", "category", "n_fixations"]
        if self.info.format > 1:  # older runs lack it
            columns.append("ceiling")
        table = self._table("regions", columns)
        strange = set(table["category"]).difference(self.categories)
        if strange:
            found = f"which has no category {min(strange)!r}"
            raise InputError(f"{path}: does not belong to run.json, {found}")
        return table

    @cached_property
    def images(self) -> pd.DataFrame:
        """``image_id, sha256``: the contents of the image files that were scored.

        Raises
        ------
        InputError
            If the run is older than this table, or it cannot be read.
        """
        if not (self.folder / "images.parquet").exists():
            raise InputError(
                f"{self.folder}: does not record the contents of its images, so nobody knows "
                "whether they are still the same; choose another --out"
            )
        return self._table("images", ["image_id", "sha256"])

    @property
    def units(self) -> pd.DataFrame:
        """Statistics of each unit and category; the columns are those of `summarise`."""
        return self._statistics[0]

    @property
    def summary(self) -> pd.DataFrame:
        """Statistics of each layer and category; the columns are those of `summarise`."""
        return self._statistics[1]

    @cached_property
    def _statistics(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The tables in the folder; computed anew if one is lost, or older than this format."""
        columns = {"units": UNIT_COLUMNS, "summary": SUMMARY_COLUMNS}
        files = [self.folder / f"{name}.parquet" for name in columns]
        if self.info.format == RunInfo.newest and all(file.exists() for file in files):
            units, summary = (self._table(name, needed) for name, needed in columns.items())
            for name, table in (("units", units), ("summary", summary)):
                self._check_places(name, table)
            return units, summary
        return summarise(
            *(self.scores, self.regions, self.layers, self.categories),
            seed=self.info.parameters.seed,
            shuffled=self.shuffled,
        )

    @cached_property
    def layers(self) -> list[LayerUnits]:
        """The layers and their columns in the scores."""
        return layer_units(self.info.layers)

    @property
    def categories(self) -> list[str]:
        """The categories, in the order of their ids."""
        return self.info.categories

    @cached_property
    def by(self) -> Slices:
        """What units score by slices of the fixations.

        Raises
        ------
        InputError
            If the run was made without them.
        """
        if self.info.parameters.by is None:
            raise InputError(f"{self.folder}: its fixations are not sliced (probe run --by)")
        return Slices(self.folder, self.info)

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

    def shares(self) -> pd.DataFrame:
        """Return the cross-fitted means' shares of the ceiling, layers × categories as `table`.

        NaN where the ceiling is unknown or not above 0.
        """
        ceiling = self.table("ceiling")
        return self.table("top10_crossval") / ceiling.where(ceiling > 0)

    def best_units(
        self, category: str, most: int | None = None, layer: str | None = None
    ) -> pd.DataFrame:
        """Return the units with the highest mean NSS for a category, the best first.

        Parameters
        ----------
        category : str
        most : int, optional
            How many; by default all.
        layer : str, optional
            Choose among the units of this layer only.

        Returns
        -------
        DataFrame
            ``layer, unit, mean, mean_low, mean_high, contrast, contrast_low, contrast_high,
            contrast_q, shuffled, sd, n`` and, where units have names, ``name``; see `summarise`.
            The intervals allow for these units being selected from all, so that 5 % or fewer of
            them miss; those of all units are intervals of units named beforehand.

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
        if layer is not None:
            units = units[units["layer"] == layer]
        names = {
            (layer.name, index): name
            for layer in self.info.layers
            for index, name in enumerate(layer.unit_names)
        }
        if names:
            keys = zip(units["layer"], units["unit"], strict=True)
            units = units.assign(name=[names.get(key, "") for key in keys])
        units = units.sort_values("mean", ascending=False, kind="stable", ignore_index=True)
        chosen = units.head(len(units) if most is None else most).copy()
        for name, n_stimuli in zip(("mean", "contrast"), self._n_stimuli[category], strict=True):
            own = Interval.of(dict(chosen.items()), name)
            widened = widened_for_selection(own, n_stimuli, len(chosen), len(units))
            chosen = chosen.assign(**widened.columns(name))
        first = [name for name in UNIT_COLUMNS if name not in ("category", "sd", "n")]
        return chosen[[*first, "sd", "n", *(["name"] if names else [])]]

    @cached_property
    def _n_stimuli(self) -> dict[str, tuple[int, int]]:
        """Of how many stimuli each category's means and contrasts are."""
        found = groups(self.regions, self.categories, 0, resamples=1)
        return {category: group.n_stimuli for category, group in found.items()}

    def best_mean(self, category: str, most: int) -> Interval:
        """Return the mean NSS of the best units of all layers, cross-fitted, with its interval.

        See `cross_fit`; `most` units are chosen on two thirds of the stimuli and scored on the
        third.
        """
        group = groups(self.regions, self.categories, self.info.parameters.seed)[category]
        means = fold_means(self.scores, slice(0, self.scores.shape[1]), group)
        return cross_fit(means, means, top=most)[0].interval

    def _check_places(self, name: str, table: pd.DataFrame) -> None:
        """Refuse a table of other layers, units or categories than ``run.json`` has."""
        place = f"{self.folder / name}.parquet: does not belong to run.json"
        sizes = {layer.name: layer.columns.stop - layer.columns.start for layer in self.layers}
        for column, expected in {"layer": set(sizes), "category": set(self.categories)}.items():
            different = expected.symmetric_difference(table[column])
            if different:
                raise InputError(
                    f"{place}, which has other values of {column!r}: {min(different)!r}"
                )
        rows, beyond = len(self.categories) * len(sizes), False
        if "unit" in table:
            rows = len(self.categories) * sum(sizes.values())
            beyond = not table["unit"].between(0, table["layer"].map(sizes) - 1).all()
        if beyond or len(table) != rows:
            raise InputError(f"{place}, which has other units")

    def _array(self, name: str) -> np.ndarray:
        path = self.folder / f"{name}.npy"
        array = map_npy(path)
        expected = (len(self.regions), sum(layer.units for layer in self.info.layers))
        if array.shape != expected or array.dtype != np.float32:
            raise InputError(
                f"{path}: expected float32 {expected}, got {array.dtype} {array.shape}"
            )
        return array

    def _table(self, name: str, columns: Iterable[str]) -> pd.DataFrame:
        """Return a table's columns, with a row for each of its keys."""
        path, columns = self.folder / f"{name}.parquet", list(columns)
        texts, whole = (
            [column for column in columns if column in kind] for kind in (_TEXTS, _WHOLE)
        )
        numbers = [column for column in columns if column not in (*texts, *whole)]
        table = read_columns(path, texts, whole, numbers)[columns]
        twice = table.duplicated(_KEYS[name])
        if twice.any():
            raise InputError(f"{path}: row {int(twice.argmax()) + 1}: occurs twice")
        return table
