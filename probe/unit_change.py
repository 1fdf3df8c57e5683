"""What training did to single units.

References
----------
He et al., CVPR 2019, section 5.2: Figures 5 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..datasets.errors import InputError
from ..datasets.masks import MaskSet
from ..datasets.regions import mask_of
from ..datasets.stimuli import Stimuli
from .activation import activation
from .compare import shared_regions
from .layers import Layer
from .models import Model
from .overlays import panel, save_figure
from .run import Run
from .statistics import THRESHOLD, draws, groups, percentiles, resampled_means


@dataclass(frozen=True, eq=False)
class UnitChange:
    """One unit in two runs.

    Attributes
    ----------
    layer, unit
        The unit counts from 0.
    categories : DataFrame
        ``category, n, before, after, difference, low, high``: means over regions, and the 95 %
        interval of the difference from a bootstrap over stimuli.
    regions : DataFrame
        ``annotation_id, image_id, category, before, after, difference``, the largest change
        first, in either direction.
    """

    layer: str
    unit: int
    categories: pd.DataFrame
    regions: pd.DataFrame


def unit_change(before: Run, after: Run, layer: str, unit: int, seed: int = 0) -> UnitChange:
    """Compare one unit's scores in two runs, region by region.

    Raises
    ------
    InputError
        If a run lacks the unit, or they share no region.
    """
    regions, rows = shared_regions(before, after)
    regions = regions[["annotation_id", "image_id", "category", "n_fixations"]].copy()
    for name, run, place in (("before", before, rows[0]), ("after", after, rows[1])):
        scores = run.scores_of(layer)
        if unit >= scores.shape[1]:
            raise InputError(
                f"{run.folder}: {layer} has units 0 to {scores.shape[1] - 1}, no {unit}"
            )
        regions[name] = scores[place, unit].astype(np.float64)
    regions["difference"] = regions["after"] - regions["before"]
    weights = draws(regions["image_id"].nunique(), seed)
    records = []
    for category, group in groups(regions, before.categories, seed).items():
        part = regions.iloc[group.rows]
        drawn = resampled_means(part["difference"].to_numpy(), group, weights)
        low, high = percentiles(drawn, group)
        means = part[["before", "after", "difference"]].mean().to_dict()
        records.append({"category": category, "n": len(part), **means, "low": low, "high": high})
    scored = regions[regions["n_fixations"] > 0].drop(columns="n_fixations")
    order = scored["difference"].abs().sort_values(ascending=False, kind="stable").index
    return UnitChange(layer, unit, pd.DataFrame(records), scored.loc[order].reset_index(drop=True))


def transitions(before: Run, after: Run, layer: str) -> pd.DataFrame:
    """Tell which category each unit of a layer responds to most, before and after.

    Returns
    -------
    DataFrame
        ``unit, before, before_mean, after, after_mean``: the category with the highest mean
        NSS, and that mean; ``none`` where it is not above `THRESHOLD`.
    """
    shared_regions(before, after)
    columns: dict[str, Any] = {}
    for name, run in (("before", before), ("after", after)):
        run.scores_of(layer)
        table = run.units[run.units["layer"] == layer]
        means = table.pivot(index="unit", columns="category", values="mean")
        means = means[run.categories].dropna(axis=1, how="all")
        highest = means.max(axis=1)
        columns[name] = means.idxmax(axis=1).where(highest > THRESHOLD, "none")
        columns[f"{name}_mean"] = highest
    found = pd.DataFrame(columns)
    if found.isna().any(axis=None):
        raise InputError(f"{before.name} and {after.name} have different units in {layer}")
    return found.reset_index()


def transition_table(units: pd.DataFrame, categories: list[str]) -> pd.DataFrame:
    """Count units by what they responded to before (rows) and after (columns)."""
    names = [*categories, "none"]
    counts = pd.crosstab(units["before"], units["after"])
    return counts.reindex(index=names, columns=names, fill_value=0)


def draw_change(
    change: UnitChange,
    models: tuple[Model, Model],
    masks: MaskSet,
    root: Path,
    path: Path,
    most: int = 6,
) -> None:
    """Draw the unit's maps over the stimuli where it changed most, before and after.

    The region whose score changed most in each is outlined.
    """
    stimuli = Stimuli(root, tuple(masks.images))
    images = {one.id: one for one in stimuli}
    outlines = {one.id: one for one in masks.annotations}
    chosen = change.regions.drop_duplicates("image_id").head(most)
    layers = [_layer(model, change.layer) for model in models]
    figure = Figure(figsize=(9, 2.35 * len(chosen)), layout="constrained")
    axes: Any = figure.subplots(len(chosen), 3, squeeze=False)
    for row, record in zip(axes, chosen.to_dict("records"), strict=True):
        stimulus = images[record["image_id"]]
        picture = stimuli.read(stimulus)
        mask = mask_of(outlines[record["annotation_id"]], stimulus)
        panel(row[0], np.asarray(picture))
        row[0].set_ylabel(f"{Path(stimulus.file_name).stem}: {record['category']}", fontsize=8)
        for axis, model, layer, when in zip(
            row[1:], models, layers, ("before", "after"), strict=True
        ):
            panel(axis, np.asarray(picture), activation(model, layer, picture)[change.unit])
            axis.set_title(f"{when}: NSS {record[when]:.2f}", fontsize=9)
        for axis in row:
            axis.contour(mask, levels=[0.5], colors="white", linewidths=1)
    axes[0][0].set_title(f"{change.layer}, unit {change.unit}", fontsize=9)
    save_figure(figure, path)


def _layer(model: Model, name: str) -> Layer:
    return next(one for one in model.layers() if one.name == name)
