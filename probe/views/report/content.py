"""What a run's pages say, as plain data: its cells, their best units, and these units' regions."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np

from ....datasets.errors import InputError
from ....datasets.texts import printable
from ...dissection.dissect import DETECTS, Dissection
from ...runs.run import Run
from ...statistics.selectivity import TOP

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_UNIT = (
    *("mean", "mean_low", "mean_high", "contrast", "contrast_low", "contrast_high"),
    *("contrast_q", "shuffled", "sd"),
)


@dataclass(frozen=True)
class Extent:
    """How much a report shows.

    Attributes
    ----------
    units : int
        Of each cell, how many of the best.
    regions : int
        Of each unit, how many where it scores highest, and lowest.

    Raises
    ------
    InputError
        If a number is negative, or there are no units.
    """

    units: int = TOP
    regions: int = 8

    def __post_init__(self) -> None:
        for name, least in (("units", 1), ("regions", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} {getattr(self, name)}: expected {least} or more")


DEFAULT_EXTENT = Extent()


@dataclass(frozen=True, eq=False)
class Content:
    """A run's pages.

    Attributes
    ----------
    run : Run
    extent : Extent
    others : list of Run
        Those that are shown beside it: their listed units are listed here too, where a layer has
        the same name and as many units.
    dissections : list of Dissection
        Of the same network.
    sheets : dict of str
        By layer and unit, the picture of a unit's sheet.
    """

    run: Run
    extent: Extent = DEFAULT_EXTENT
    others: Sequence[Run] = ()
    dissections: Sequence[Dissection] = ()
    sheets: dict[tuple[str, int], str] = field(default_factory=dict)
    _best: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)

    @cached_property
    def slugs(self) -> dict[str, str]:
        """The categories' names in addresses: no two alike, and none like a unit's number."""
        slugs: dict[str, str] = {}
        for name in self.run.categories:
            slug = re.sub(r"[^\w]+", "-", name.lower()).strip("-")
            while not slug or slug.isdecimal() or slug in slugs.values():
                slug += "-"
            slugs[name] = slug
        return slugs

    def address(self, layer: str, category: str) -> str:
        """Return the address of a cell, as in ``#conv5_3/person-head``."""
        return f"#{quote(printable(layer), safe='')}/{quote(self.slugs[category], safe='')}"

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many regions of each category were scored."""
        regions = self.run.regions
        found = regions.loc[regions["n_fixations"] > 0, "category"].value_counts()
        return {name: int(found.get(name, 0)) for name in self.run.categories}

    def best(self, layer: str, category: str) -> list[dict[str, Any]]:
        """Return the best units of a cell, the best first; none without regions."""
        if not self.counts[category]:
            return []
        if (layer, category) not in self._best:
            units = self.run.best_units(category, self.extent.units, layer).to_dict("records")
            names = {"name": "name"} if units and "name" in units[0] else {}
            self._best[layer, category] = [
                {
                    "unit": int(unit["unit"]),
                    **{name: printable(unit[name]) for name in names},
                    **{name: finite(unit[name]) for name in _UNIT},
                    "n": int(unit["n"]),
                    **self._iou(layer, int(unit["unit"]), category),
                }
                for unit in units
                if not math.isnan(unit["mean"])
            ]
        return self._best[layer, category]

    def cells(self, layer: str) -> dict[str, list[dict[str, Any]]]:
        """Return the best units of a layer's cells, by the categories' slugs."""
        return {self.slugs[one]: self.best(layer, one) for one in self.run.categories}

    def listed(self, layer: str) -> list[int]:
        """Return the units of a layer that have a page: the best of its cells, and with sheets."""
        units = {unit["unit"] for cell in self.cells(layer).values() for unit in cell}
        return sorted(units | {unit for name, unit in self.sheets if name == layer})

    def layer(self, name: str, more: Sequence[int] = ()) -> dict[str, Any]:
        """Return what the pages say of a layer.

        Parameters
        ----------
        name : str
        more : sequence of int
            Units that have a page beside those that this run lists.

        Returns
        -------
        dict
            ``cells``: for each category's slug its best units; ``units``: for each unit with a
            page its ``scores`` by category (slug: 5, 25, 50, 75 and 95 % quantiles, and mean), its
            ``best`` and ``worst`` regions (pairs of the region's id and its NSS), and where they
            are known ``others`` (its means by category in the other runs), ``sheet`` and ``iou``.
        """
        listed = sorted({*self.listed(name), *more})
        scored = np.flatnonzero(self.run.regions["n_fixations"] > 0)
        scores = self.run.scores_of(name)[:, listed][scored]
        ids = self.run.regions["annotation_id"].to_numpy()[scored]
        names = self.run.regions["category"].to_numpy()[scored]
        spread: dict[str, np.ndarray] = {}
        for category in self.run.categories:
            own = scores[names == category]
            if len(own):
                values = [*np.quantile(own, _QUANTILES, axis=0), own.mean(axis=0, dtype=float)]
                spread[self.slugs[category]] = np.array(values)
        order, shown = np.argsort(-scores, axis=0, kind="stable"), self.extent.regions
        units = {}
        for column, unit in enumerate(listed):
            chosen = order[:shown, column], order[::-1][:shown, column]
            best, worst = (
                [[int(ids[row]), finite(scores[row, column])] for row in rows] for rows in chosen
            )
            strips = {
                slug: [finite(value) for value in values[:, column]]
                for slug, values in spread.items()
            }
            units[str(unit)] = {
                **{"scores": strips, "best": best, "worst": worst},
                **self._elsewhere(name, unit),
                **({"sheet": self.sheets[name, unit]} if (name, unit) in self.sheets else {}),
                **self._detected(name, unit),
            }
        return {"layer": printable(name), "cells": self.cells(name), "units": units}

    def _elsewhere(self, layer: str, unit: int) -> dict[str, Any]:
        """Return a unit's means by category in the other runs, as ``others``."""
        found = []
        for means in self._other_means:
            own = means.get((layer, unit), {})
            found.append(
                {self.slugs[name]: finite(own[name]) for name in self.slugs if name in own}
            )
        return {"others": found} if any(found) else {}

    def shared(self, other: Run) -> list[str]:
        """Return the layers that another run has too, with as many units."""
        own = {(layer.name, layer.units) for layer in self.run.info.layers}
        return [layer.name for layer in other.info.layers if (layer.name, layer.units) in own]

    @cached_property
    def _other_means(self) -> list[dict[tuple[str, int], dict[str, float]]]:
        """For each other run its means, by layer and unit, of layers that are the same."""
        found = []
        for other in self.others:
            same = self.shared(other)
            means: dict[tuple[str, int], dict[str, float]] = {}
            table = other.units[other.units["layer"].isin(same)]
            columns = (table[name] for name in ("layer", "unit", "category", "mean"))
            for layer, unit, category, mean in zip(*columns, strict=True):
                means.setdefault((layer, int(unit)), {})[category] = mean
            found.append(means)
        return found

    @cached_property
    def _ious(self) -> dict[tuple[str, int], dict[str, float]]:
        """The intersections over union of the dissected units, by category."""
        found: dict[tuple[str, int], dict[str, float]] = {}
        for dissection in self.dissections:
            table = dissection.units.dropna(subset=["iou"])
            columns = (table[name] for name in ("layer", "unit", "category", "iou"))
            for layer, unit, category, iou in zip(*columns, strict=True):
                found.setdefault((layer, int(unit)), {})[category] = float(iou)
        return found

    def _iou(self, layer: str, unit: int, category: str) -> dict[str, float | None]:
        """Return a unit's intersection over union with a category, where it was dissected."""
        if not self._ious:
            return {}
        return {"iou": finite(self._ious.get((layer, unit), {}).get(category, math.nan))}

    def _detected(self, layer: str, unit: int) -> dict[str, Any]:
        """Return the category of a dissected unit's highest intersection over union."""
        own = self._ious.get((layer, unit))
        if not own:
            return {}
        name = max(own, key=lambda one: own[one])
        return {"iou": [printable(name), finite(own[name]), own[name] > DETECTS]}


def regions_of(layers: Sequence[dict[str, Any]]) -> set[int]:
    """Return the ids of the regions that the layers' units show."""
    units = (unit for layer in layers for unit in layer["units"].values())
    return {region for unit in units for region, _ in (*unit["best"], *unit["worst"])}


def finite(value: float) -> float | None:
    """Return a number as it is written; None if it is unknown.

    Four digits after the point, and of smaller numbers, such as q, three that are not zero.
    """
    if not math.isfinite(value):
        return None
    return round(float(value), 4) if abs(value) >= 0.001 else float(f"{value:.3g}")
