"""What stands in the cells of tables for the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from ..datasets.terminal import category_table
from .statistics import THRESHOLD


def grid(
    title: str, frames: Sequence[pd.DataFrame], cell: Callable[..., Text], first: str = "layer"
) -> Table:
    """Lay out rows × categories; ``cell`` makes a text of the frames' values at one place."""
    table = category_table(title, first, map(str, frames[0].columns))
    values = [frame.to_numpy(np.float64) for frame in frames]
    for row, name in enumerate(frames[0].index):
        cells = (cell(*(one[row, k] for one in values)) for k in range(frames[0].shape[1]))
        table.add_row(str(name), *cells)
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


def half_width(low: float, high: float) -> Text:
    """Return half an interval, on a line of its own; nothing where there is none."""
    return Text("" if np.isnan(low) else f"\n±{(high - low) / 2:.2f}", style="not bold dim")


def with_interval(value: float, low: float, high: float) -> Text:
    """Return a number and half its interval, on one line."""
    text = Text(number(value))
    if not np.isnan(low):
        text.append(f" ±{(high - low) / 2:.2f}", style="dim")
    return text


def shaded(value: float) -> Text:
    """Return a score; those above T are bold, and greener the higher."""
    if np.isnan(value):
        return Text("–", style="dim")
    strength = min(1.0, max(0.0, (value - 0.5) / 2.5))
    red, green, blue = (round(a + (b - a) * strength) for a, b in ((140, 0), (140, 175), (140, 80)))
    bold = "bold " if value > THRESHOLD else ""
    return Text(f"{value:.2f}", style=f"{bold}rgb({red},{green},{blue})")


def change(value: float, low: float, high: float) -> Text:
    """Return a difference; bold and coloured where its interval excludes 0."""
    if np.isnan(value):
        return Text("–", style="dim")
    sure = low > 0 or high < 0
    colour = "green" if value > 0 else "red"
    text = Text(f"{value:+.2f}", style=f"bold {colour}" if sure else "dim")
    return text + half_width(low, high)


def paper_tables() -> dict[str, Any]:
    """Return He et al. 2019's tables as data."""
    return json.loads((resources.files(str(__package__)) / "paper_tables.json").read_text("utf-8"))
