"""What stands in the cells of tables for the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from ...datasets.interval import Interval
from ...terminal.tables import category_table
from ..statistics.selectivity import THRESHOLD


def grid(
    title: str,
    frame: pd.DataFrame | Interval,
    cell: Callable[[Any], Text],
    first: str = "layer",
) -> Table:
    """Lay out rows × categories.

    Parameters
    ----------
    title : str
    frame : DataFrame, or Interval of DataFrames
        Rows × categories.
    cell : callable
        Makes a text of one place's number, or of its `Interval`.
    first : str
        Heads the column of the rows' names.
    """
    frames = frame if isinstance(frame, Interval) else (frame,)
    values = [one.to_numpy(np.float64) for one in frames]
    table = category_table(title, first, map(str, frames[0].columns))
    for row, name in enumerate(frames[0].index):
        places = ([one[row, k] for one in values] for k in range(frames[0].shape[1]))
        one_each = (Interval(*here) if len(here) == 3 else here[0] for here in places)
        table.add_row(str(name), *map(cell, one_each))
    return table


def count(value: float) -> Text:
    """Return a number of units, regions …; a dot for none."""
    return Text(f"{value:.0f}" if value else "·")


def wide(frame: pd.DataFrame, rows: str, value: str) -> pd.DataFrame:
    """Return one column of a long table as rows × categories, both in the order they come."""
    table = frame.pivot(index=rows, columns="category", values=value)
    return table.loc[list(dict.fromkeys(frame[rows])), list(dict.fromkeys(frame["category"]))]


def number(value: object) -> str:
    """Return a number with two decimals, a dash where it is none."""
    if isinstance(value, float | np.floating):
        return "–" if np.isnan(value) else f"{value:.2f}"
    return str(value)


def intervals(frame: pd.DataFrame, rows: str, name: str, *, prefix: bool = True) -> Interval:
    """Return a long table's interval as rows × categories; see `Interval.columns`."""
    keys = Interval.none().columns(name, prefix=prefix)
    return Interval(*(wide(frame, rows, key) for key in keys))


def half_width(interval: Interval) -> Text:
    """Return half an interval, on a line of its own; nothing where there is none."""
    known = not np.isnan(interval.low)
    return Text(f"\n±{interval.half_width:.2f}" if known else "", style="not bold dim")


def with_interval(interval: Interval) -> Text:
    """Return a number and half its interval, on one line."""
    text = Text(number(interval.value))
    if not np.isnan(interval.low):
        text.append(f" ±{interval.half_width:.2f}", style="dim")
    return text


def score(interval: Interval) -> Text:
    """Return a score, shaded, and half its interval beneath it."""
    return shaded(interval.value) + half_width(interval)


def shaded(value: float) -> Text:
    """Return a score; those above T are bold, and greener the higher."""
    if np.isnan(value):
        return Text("–", style="dim")
    strength = min(1.0, max(0.0, (value - 0.5) / 2.5))
    red, green, blue = (round(a + (b - a) * strength) for a, b in ((140, 0), (140, 175), (140, 80)))
    bold = "bold " if value > THRESHOLD else ""
    return Text(f"{value:.2f}", style=f"{bold}rgb({red},{green},{blue})")


def change(interval: Interval) -> Text:
    """Return a difference; bold and coloured where its interval excludes 0."""
    value = interval.value
    if np.isnan(value):
        return Text("–", style="dim")
    colour = "green" if value > 0 else "red"
    style = f"bold {colour}" if interval.excludes_zero else "dim"
    return Text(f"{value:+.2f}", style=style) + half_width(interval)


def paper_tables() -> dict[str, Any]:
    """Return He et al. 2019's tables as data."""
    return json.loads((resources.files(str(__package__)) / "paper_tables.json").read_text("utf-8"))
