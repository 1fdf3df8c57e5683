"""Numbers on colours, with colour scales safe for the colour-blind."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.text import Text

from ...datasets.texts import printable
from ...probe.statistics.clusters import FDR


def score(value: Any) -> Text:
    """Return a score on its colour; other values as plain text."""
    if not isinstance(value, float | np.floating):
        return Text(str(value), justify="right")
    if np.isnan(value):
        return Text("–", style="dim", justify="right")
    return Text(f"{value:.2f}", style=sequential(float(value)), justify="right")


def sequential(value: float) -> str:
    """Return the style of a score: viridis, from dark blue at 0 to yellow at 3."""
    from matplotlib import colormaps

    red, green, blue, _ = colormaps["viridis"](min(1.0, max(0.0, value / 3.0)), bytes=True)
    return on(int(red), int(green), int(blue))


def difference(value: float, q: float) -> Text:
    """Return a change, blue if down and red if up; bold if its q is below 5 %."""
    from matplotlib import colormaps

    if np.isnan(value):
        return Text("–", style="dim", justify="right")
    red, green, blue, _ = colormaps["RdBu_r"](0.5 + 0.5 * min(1.0, max(-1.0, value)), bytes=True)
    style = ("bold " if q < FDR else "") + on(int(red), int(green), int(blue))
    return Text(f"{value:+.2f}", style=style, justify="right")


def tally(value: float) -> Text:
    """Return a number of units; a dot stands for 0."""
    if np.isnan(value):
        return Text("–", style="dim", justify="right")
    return Text(f"{value:.0f}" if value else "·", justify="right")


def on(red: int, green: int, blue: int) -> str:
    """Return the style for text on a colour: black on light, white on dark."""
    light = 0.299 * red + 0.587 * green + 0.114 * blue > 128
    return f"{'#000000' if light else '#ffffff'} on rgb({red},{green},{blue})"


def plain(value: Any) -> Text:
    """Return a number or text without colour."""
    text = f"{value:.2f}" if isinstance(value, float) else printable(value)
    return Text(text, justify="right")
