"""The rows of the arrays that hold the scores of slices of the fixations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...datasets.progress import SILENT, Progress
from .batches import Loaded, Plan
from .slices import looks_of


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
        """Return the number of rows of each array."""
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
        return {name: keep[getattr(self, name)["region"]] for name in self.sizes()}
