"""Counts and agreement as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ...terminal.tables import category_table
from .agree import Agreement


def render_stats(table: pd.DataFrame, title: str) -> Group:
    """Return the terminal view of `statistics`."""
    view = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    view.add_column("category")
    for name in ("regions", "images", "fixations", "of all", "mean area"):
        view.add_column(name, justify="right")
    for row in table.itertuples(index=False):
        category, regions, images, fixations, fixation_share, area_share = row
        view.add_row(
            str(category),
            f"{regions}",
            f"{images}",
            _known(fixations, ".0f"),
            _known(fixation_share, ".1%"),
            _known(area_share, ".1%"),
        )
    return Group(Text(title, style="bold"), view)


def render_agreement(agreement: Agreement, names: Sequence[str]) -> Group:
    """Return the terminal view of an agreement."""
    counts = ", ".join(
        f"{name} {count}" for name, count in zip(names, agreement.n_regions, strict=True)
    )
    kappa = agreement.kappa
    iou = agreement.matched["iou"].mean()
    lines = (
        f"Images in all files: {agreement.n_images}; regions on them: {counts}\n"
        f"Matched regions: {len(agreement.matched)}, mean IoU {iou:.2f}\n"
        f"Same category: {agreement.same:.1%}\n"
        f"{agreement.kappa_name} kappa: {_known(kappa.value, '.2f')}, "
        f"95 % interval {_known(kappa.low, '.2f')} to {_known(kappa.high, '.2f')}\n"
        f"Regions to review: {len(agreement.disagreements.annotations)}"
    )
    if len(names) > 2:
        return Group(Text(lines))
    confusion = agreement.confusion()
    title = f"Category in {names[0]} (rows) and in {names[1]} (columns)"
    view = category_table(title, "", map(str, confusion.columns))
    for category, counts in zip(confusion.index, confusion.to_numpy(), strict=True):
        cells = [
            Text(
                str(count) if count else "·",
                style="bold" if column == category else "red" if count else "dim",
            )
            for column, count in zip(confusion.columns, counts, strict=True)
        ]
        view.add_row(str(category), *cells)
    return Group(Text(lines), view)


def agreement_record(agreement: Agreement) -> dict:
    """Return an agreement as a JSON-ready object; undefined numbers become ``None``."""
    numbers = {
        "mean_iou": float(agreement.matched["iou"].mean()),
        "same_category": agreement.same,
        **agreement.kappa.columns("kappa", prefix=False),
    }
    record = {
        "images": agreement.n_images,
        "regions": agreement.n_regions,
        "matched": len(agreement.matched),
        "kappa_name": agreement.kappa_name,
        **{key: None if np.isnan(value) else value for key, value in numbers.items()},
        "disagreements": len(agreement.disagreements.annotations),
    }
    if len(agreement.n_regions) == 2:
        record["confusion"] = agreement.confusion().to_dict(orient="index")
    return record


def _known(value: float, style: str) -> str:
    return "–" if np.isnan(value) else format(value, style)
