"""What a run's site says, as plain data: its cells, their best units, and these units' regions."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np

from ....datasets.texts import printable
from ...runs.run import Run
from ...statistics.selectivity import TOP

SHOWN_REGIONS = 8
"""Of each unit, how many of the regions where it scores highest, and lowest."""

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_UNIT = (
    *("mean", "mean_low", "mean_high", "contrast", "contrast_low", "contrast_high"),
    *("contrast_q", "shuffled", "sd"),
)


@dataclass(frozen=True, eq=False)
class Content:
    """A run's site.

    Attributes
    ----------
    run : Run
    """

    run: Run
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
            units = self.run.best_units(category, TOP, layer).to_dict("records")
            names = {"name": "name"} if units and "name" in units[0] else {}
            self._best[layer, category] = [
                {
                    "unit": int(unit["unit"]),
                    **{name: printable(unit[name]) for name in names},
                    **{name: finite(unit[name]) for name in _UNIT},
                    "n": int(unit["n"]),
                }
                for unit in units
                if not math.isnan(unit["mean"])
            ]
        return self._best[layer, category]

    def layer(self, name: str) -> dict[str, Any]:
        """Return what the site says of a layer.

        Returns
        -------
        dict
            ``cells``: for each category's slug its best units; ``units``: for each of these
            its ``scores`` by category (slug: 5, 25, 50, 75 and 95 % quantiles, and mean), and its
            ``best`` and ``worst`` regions (pairs of the region's id and its NSS).
        """
        cells = {self.slugs[one]: self.best(name, one) for one in self.run.categories}
        listed = sorted({unit["unit"] for cell in cells.values() for unit in cell})
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
        order = np.argsort(-scores, axis=0, kind="stable")
        units = {}
        for column, unit in enumerate(listed):
            chosen = order[:SHOWN_REGIONS, column], order[::-1][:SHOWN_REGIONS, column]
            best, worst = (
                [[int(ids[row]), finite(scores[row, column])] for row in rows] for rows in chosen
            )
            strips = {
                slug: [finite(value) for value in values[:, column]]
                for slug, values in spread.items()
            }
            units[str(unit)] = {"scores": strips, "best": best, "worst": worst}
        return {"layer": printable(name), "cells": cells, "units": units}


def regions_of(layers: Sequence[dict[str, Any]]) -> set[int]:
    """Return the ids of the regions that the layers' units show."""
    units = (unit for layer in layers for unit in layer["units"].values())
    return {region for unit in units for region, _ in (*unit["best"], *unit["worst"])}


def finite(value: float) -> float | None:
    """Return a number as it is written: four digits after the point; None if it is unknown."""
    return round(float(value), 4) if math.isfinite(value) else None
