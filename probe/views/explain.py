"""Explanations as tables for the terminal."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from ...datasets.interval import Interval
from ...datasets.texts import printable
from ...terminal.tables import plain_table
from ..analysis.colour import ColourSpaces
from ..explain.bank import FAMILIES
from ..explain.explanation import Explanation
from ..explain.partition import column
from ..statistics.clusters import MIN_STIMULI
from .cells import change, grid, number, percent, score_share, wide, with_interval

_NOTE = (
    "R² on held-out stimuli, mean over units: 1 is a map rebuilt exactly, 0 no better than the "
    "unit's mean. Unique: what is lost without a family; shared: what several explain equally."
)
_FEW = f"fewer than {MIN_STIMULI} stimuli: no intervals"


def render_explanation(explanation: Explanation) -> Group:
    """Return the terminal view of an explanation: its layers, and their categories."""
    table = explanation.layers
    whole, parts = table[table["category"] == ""], table[table["category"] != ""]
    columns = ("units", "R²", *(f"{name}\nunique" for name in FAMILIES), "shared")
    columns += tuple(f"{name}\nalone" for name in FAMILIES)
    view = plain_table("How much of the units' maps is explained", "layer", columns)
    for row in whole.to_dict("records"):
        unique = [Interval.of(row, f"unique_{column(name)}") for name in FAMILIES]
        alone = [row[f"r2_{column(name)}"] for name in FAMILIES]
        shared = row["r2"] - sum(one.value for one in unique)
        view.add_row(
            *(str(row["layer"]), str(row["units"])),
            *map(with_interval, (Interval.of(row, "r2"), *unique)),
            *map(number, (shared, *alone)),
        )
    shown: list[RenderableType] = [Text(explanation.describe(), style="bold"), view]
    if len(parts):
        title = "R² in the regions of a category, over the units' own means"
        shown.append(grid(title, wide(parts, "layer", "r2"), score_share))
    shown.append(Text(_NOTE, style="dim"))
    if explanation.info.images < MIN_STIMULI:
        shown.append(Text(_FEW, style="dim"))
    return Group(*shown)


def render_explained_units(explanation: Explanation, most: int) -> RenderableType:
    """Return the units that are explained best, with the filter that explains most of each."""
    columns = ("R²", *(f"{name}\nunique" for name in FAMILIES), "best filter", "alone")
    view = plain_table(f"{explanation.describe()}: units", "unit", columns)
    best = explanation.units.sort_values("r2", ascending=False, kind="stable").head(most)
    for row in best.to_dict("records"):
        unique = (row[f"unique_{column(name)}"] for name in FAMILIES)
        view.add_row(
            f"{row['layer']}:{row['unit']}",
            with_interval(Interval.of(row, "r2")),
            *map(number, unique),
            filter_name(row),
            number(row["filter_r2"]),
        )
    return view


def filter_name(row: dict) -> str:
    """Return the name of a unit's best filter, "–" of one that does not vary."""
    if not row["filter_channel"]:
        return "–"
    wavelength, orientation = row["filter_wavelength"], row["filter_orientation"]
    return f"{wavelength:.0f} px {orientation:.0f}° {row['filter_channel']}"


def render_against(before: Explanation, after: Explanation, table: pd.DataFrame) -> Group:
    """Return the terminal view of two explanations' difference; see `Explanation.against`."""
    head = f"before: {before.describe()}\nafter: {after.describe()}"
    title = "R², and its change with half the paired 95 % interval over stimuli (bold: without 0)"
    view = plain_table(title, "layer", ("before", "after", "change"))
    for row in table.to_dict("records"):
        found = Interval.of(row, "change")
        apart = found.low > 0 or found.high < 0
        cells = (number(row["there"]), number(row["here"]), change(*found, 0.0 if apart else 1.0))
        view.add_row(str(row["layer"]), *cells)
    return Group(Text(head, style="bold"), view)


def render_colour(found: ColourSpaces) -> Group:
    """Return the terminal view of a first layer's colours."""
    head = Text(printable(f"{found.name}, {found.layer}: {found.filters} filters"), style="bold")
    axes = plain_table("Principal axes, in RGB", "axis", ("energy", "red", "green", "blue"))
    for number_, (share, axis) in enumerate(zip(found.shares, found.axes, strict=True), start=1):
        axes.add_row(str(number_), percent(share), *(f"{value:+.2f}" for value in axis))
    spaces = plain_table(
        "How near they are to the axes of colour spaces, the nearest first",
        *("space", ("mean angle", "by chance", "1st", "2nd", "3rd", "energy on its axes", "")),
    )
    for row in found.spaces.to_dict("records"):
        angles = (f"{row[f'angle_{k}']:.0f}°" for k in (1, 2, 3))
        energy = " ".join(f"{row[f'share_{k}']:.0%}" for k in (1, 2, 3))
        low, high = row["low"], row["high"]
        apart = "" if np.isnan(low) else f" [{low:.0f}, {high:.0f}]"
        mean = f"{row['angle']:.1f}°{apart}"
        spaces.add_row(
            str(row["space"]), mean, f"{row['chance']:.0%}", *angles, energy, str(row["names"])
        )
    note = (
        "Mean angle between the principal axes and the space's, each matched with its nearest; in "
        "brackets 95 % over filters. By chance: share of random axes that lie as near. Energy: on "
        "the space's axes in the order given, made orthogonal one after the other."
    )
    return Group(head, axes, spaces, Text(note, style="dim"))
