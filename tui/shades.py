"""Numbers on their colours; the scales can be told apart by the colour-blind."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.text import Text


def score(value: Any) -> Text:
    """Return a score on its colour; a text as it is."""
    if not isinstance(value, float | np.floating):
        return Text(str(value), justify="right")
    if np.isnan(value):
        return Text("–", style="dim", justify="right")
    return Text(f"{value:.2f}", style=sequential(float(value)), justify="right")


def sequential(value: float) -> str:
    """Return the style of a score: dark blue to yellow, as viridis; colour-blind safe."""
    from matplotlib import colormaps

    red, green, blue, _ = colormaps["viridis"](min(1.0, max(0.0, value / 3.0)), bytes=True)
    return on(int(red), int(green), int(blue))


def diverging(value: float, sure: bool) -> str:
    """Return the style of a change: blue down, red up; colour-blind safe."""
    from matplotlib import colormaps

    place = 0.5 + 0.5 * min(1.0, max(-1.0, value))
    red, green, blue, _ = colormaps["RdBu_r"](place, bytes=True)
    return ("bold " if sure else "") + on(int(red), int(green), int(blue))


def on(red: int, green: int, blue: int) -> str:
    """Return the style of letters on a colour: dark on a light one, light on a dark one."""
    light = 0.299 * red + 0.587 * green + 0.114 * blue > 128
    return f"{'#000000' if light else '#ffffff'} on rgb({red},{green},{blue})"


def plain(value: Any) -> Text:
    """Return a number or a text without colour."""
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return Text(text, justify="right")
