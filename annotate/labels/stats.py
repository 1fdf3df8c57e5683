"""Counts of regions, images, fixations and area per category, and a figure of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pycocotools import mask as coco

from ...datasets.categories import UNLABELLED
from ...datasets.errors import InputError
from ...datasets.files import atomic_write
from ...datasets.fixations import Fixations
from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.regions import encoded, inside
from ...datasets.texts import figure_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def statistics(masks: MaskSet, fixations: Fixations | None) -> pd.DataFrame:
    """Count per category, in the order of the category ids.

    Returns
    -------
    DataFrame
        ``category, regions, images, fixations, fixation_share, area_share``: fixations inside
        the regions (missing if ``fixations`` is None), their share of all fixations, and the mean
        share of its image that a region covers. ``unlabelled`` comes last, if it occurs.
    """
    names = masks.category_of()
    rows = []
    for image_id, regions in masks.by_image().items():
        image = masks.image(image_id)
        looked = None if fixations is None else fixations.of(image_id)
        for region in regions:
            area = float(coco.area(encoded(region, image)))
            rows.append(
                {
                    "category": names[region.category_id],
                    "image_id": image_id,
                    "fixations": float("nan")
                    if looked is None
                    else float(inside(region, image, looked).sum()),
                    "area_share": area / (image.width * image.height),
                }
            )
    each = pd.DataFrame(rows, columns=["category", "image_id", "fixations", "area_share"])
    order = masks.category_names()
    if (each["category"] == UNLABELLED).any():
        order.append(UNLABELLED)
    grouped = each.groupby("category")
    table = pd.DataFrame(
        {
            "regions": grouped.size(),
            "images": grouped["image_id"].nunique(),
            "fixations": grouped["fixations"].sum(min_count=1),
            "area_share": grouped["area_share"].mean(),
        }
    ).reindex(order)
    table[["regions", "images"]] = table[["regions", "images"]].fillna(0).astype(int)
    total = float("nan") if fixations is None else max(len(fixations), 1)
    table.insert(3, "fixation_share", table["fixations"] / total)
    return table.rename_axis("category").reset_index()


def draw(table: pd.DataFrame, path: Path, title: str) -> None:
    """Draw the counts as bars; the suffix of the file selects PNG, PDF or SVG.

    Raises
    ------
    InputError
        If the suffix is unknown, or the file cannot be written.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "pdf", "svg"):
        raise InputError(f"{path}: expected a .png, .pdf or .svg file")
    figure = figure_of(table, title)
    with atomic_write(path) as file:
        figure.savefig(file, format=kind, dpi=150)


def figure_of(table: pd.DataFrame, title: str) -> Figure:
    """Return the figure that `draw` writes; what is not known has a dash instead of a bar."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.34 * len(table) + 1.4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    columns = {
        "regions": ("regions", 1),
        "fixation_share": ("fixations inside, % of all", 100),
        "area_share": ("mean area, % of the image", 100),
    }
    for panel, (column, (label, factor)) in zip(panels, columns.items(), strict=True):
        values = (table[column] * factor).to_numpy(dtype=float)
        bars = panel.barh(range(len(table)), np.nan_to_num(values), color="#0072B2")
        style = ".0f" if column == "regions" else ".1f"
        texts = ["–" if np.isnan(value) else format(value, style) for value in values]
        panel.bar_label(bars, texts, padding=3, fontsize=8)
        if len(values) and np.isnan(values).all():
            label += " (not known)"
            panel.set_xticks([])
        panel.set_xlabel(label)
        panel.margins(x=0.18)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(table)), map(figure_text, table["category"]))
    panels[0].invert_yaxis()
    figure.suptitle("\n".join(map(figure_text, title.split("\n"))), fontsize=11)
    return figure
