"""Cells of tables for the terminal, and the grids they stand in."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from rich.color import Color
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ...datasets.interval import Interval
from ...terminal.tables import category_table
from ..statistics.clusters import FDR
from ..statistics.selectivity import THRESHOLD

MARKS = (
    f"± half its 95 % interval (bold: not 0, at a false discovery rate of {FDR:.0%} in this table)"
)
"""What a title says of a table of changes."""

SHADES = 10
"""Of the heat maps in pages; the stylesheet has as many."""


def grid(
    title: str,
    frames: pd.DataFrame | tuple[pd.DataFrame, ...],
    cell: Callable[..., Text],
    first: str = "layer",
) -> Table:
    """Lay out a table of rows × categories.

    Parameters
    ----------
    title : str
    frames : DataFrame, or tuple of DataFrames (such as an `Interval` of them)
        Rows × categories.
    cell : callable
        Renders a cell from one number of each frame.
    first : str
        Heading of the column of row names.
    """
    given = frames if isinstance(frames, tuple) else (frames,)
    values = [frame.to_numpy(np.float64) for frame in given]
    table = category_table(title, first, map(str, given[0].columns))
    for row, name in enumerate(given[0].index):
        places = ([array[row, k] for array in values] for k in range(given[0].shape[1]))
        table.add_row(str(name), *(cell(*place) for place in places))
    return table


def count(value: float) -> Text:
    """Render a count of units or regions; 0 is a dot, what is not known a dash."""
    if np.isnan(value):
        return Text("–", style="dim")
    return Text(f"{value:.0f}" if value else "·")


def wide(frame: pd.DataFrame, rows: str, value: str) -> pd.DataFrame:
    """Return one column of a long table as rows × categories, both in order of appearance."""
    table = frame.pivot(index=rows, columns="category", values=value)
    return table.loc[list(dict.fromkeys(frame[rows])), list(dict.fromkeys(frame["category"]))]


def number(value: object) -> str:
    """Format a number with two decimals; NaN is a dash."""
    if isinstance(value, float | np.floating):
        return "–" if np.isnan(value) else f"{round(value, 2) + 0:.2f}"  # 0 has no sign
    return str(value)


def intervals(frame: pd.DataFrame, rows: str, name: str, *, prefix: bool = True) -> Interval:
    """Return an interval of a long table as rows × categories.

    Parameters
    ----------
    frame : DataFrame
        Long table with a column ``category``.
    rows : str
        Column that names the rows.
    name : str
        Name of the interval's columns; see `Interval.columns`.
    prefix : bool
        Whether the columns of the bounds begin with the name.
    """
    keys = Interval.none().columns(name, prefix=prefix)
    return Interval(*(wide(frame, rows, key) for key in keys))


def half_width(interval: Interval) -> Text:
    """Render half an interval's width on a new line; empty if the interval is unknown."""
    known = not np.isnan(interval.low)
    return Text(f"\n±{interval.half_width:.2f}" if known else "", style="dim")


def with_interval(interval: Interval) -> Text:
    """Render a number and half its interval's width on one line."""
    text = Text(number(interval.value))
    if not np.isnan(interval.low):
        text.append(f" ±{interval.half_width:.2f}", style="dim")
    return text


def bracketed(interval: Interval) -> Text:
    """Render a number and its interval's bounds on one line."""
    text = Text(number(interval.value))
    if not np.isnan(interval.low):
        text.append(f" [{interval.low:.2f}, {interval.high:.2f}]", style="dim")
    return text


def small(p: float) -> str:
    """Format a p or q: what is below 0.001 as that."""
    return "–" if np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def percent(share: float) -> Text:
    """Render a share."""
    return Text("–", style="dim") if np.isnan(share) else Text(f"{share:.0%}")


def score_share(value: float) -> Text:
    """Render a share of variance; what is below 0 is dim."""
    if np.isnan(value):
        return Text("–", style="dim")
    return Text(f"{value:.2f}", style="dim" if value <= 0 else "")


def with_count(value: float, units: float) -> Text:
    """Render a shaded score, with a number of units below it."""
    below = "" if np.isnan(value) else f"\n{units:.0f}" if units else "\n·"
    return Text.assemble(shaded(value), Text(below, style="dim"))


def score(value: float, low: float, high: float) -> Text:
    """Render a shaded score, with half its interval's width below it."""
    return Text.assemble(shaded(value), half_width(Interval(value, low, high)))


def moved(value: float, low: float, high: float, own: float) -> Text:
    """Render a score as `unmarked_score` does, with another to compare it with below it."""
    below = Text(f"\nof {number(own)}", style="dim")
    return Text.assemble(unmarked_score(value, low, high), below)


def unmarked_score(value: float, low: float, high: float) -> Text:
    """Render what T says nothing of as `score` does, never bold."""
    return Text.assemble(shaded(value, bold=False), half_width(Interval(value, low, high)))


def shaded(value: float, *, bold: bool = True) -> Text:
    """Render a score: bold above T unless told otherwise, and greener the higher it is."""
    if np.isnan(value):
        return Text("–", style="dim")
    strength = min(1.0, max(0.0, (value - 0.5) / 2.5))
    colour = Color.from_rgb(*(a + (b - a) * strength for a, b in ((140, 0), (140, 175), (140, 80))))
    shade = {"shade": round(SHADES * strength)}  # for pages
    style = Style(color=colour, bold=(bold and value > THRESHOLD) or None, meta=shade)
    return Text(f"{value:.2f}", style=style)


def change(value: float, low: float, high: float, q: float) -> Text:
    """Render a difference: bold and coloured if its q in the whole table is below 5 %."""
    if np.isnan(value):
        return Text("–", style="dim")
    colour = "green" if value > 0 else "red"
    style = f"bold {colour}" if q < FDR else "dim"
    shown = Text(f"{value:+.2f}", style=style)
    return Text.assemble(shown, half_width(Interval(value, low, high)))


def paper_tables() -> dict[str, Any]:
    """Return the tables of He et al. 2019."""
    return json.loads((resources.files(str(__package__)) / "paper_tables.json").read_text("utf-8"))
