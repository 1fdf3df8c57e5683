"""Numbers on colours, with colour scales safe for the colour-blind."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from rich.text import Text
from textual.theme import Theme

from ...datasets.texts import printable
from ...probe.statistics.clusters import FDR

THEMES = (
    Theme(
        name="salprobe-dark",
        dark=True,
        primary="#5aa9e6",
        secondary="#7fc8a9",
        accent="#ffb454",
        foreground="#e3e6ea",
        background="#14171b",
        surface="#1b1f25",
        panel="#262c34",
    ),
    Theme(
        name="salprobe-light",
        dark=False,
        primary="#175f94",
        secondary="#2b7a5b",
        accent="#8a5000",
        foreground="#1c2126",
        background="#f4f5f6",
        surface="#ffffff",
        panel="#e3e7eb",
    ),
)
"""The dark and the light theme of both reviews."""

SEEN = 3.0
"""Contrast that WCAG 2 asks of what is not text, such as marks."""


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


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (``#rrggbb``) as WCAG 2 defines it, from 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@lru_cache
def legible(colour: str, dark: bool) -> str:
    """Return a colour (``#rrggbb``), if need be lighter or darker, to be seen on a theme's grounds.

    Its contrast with each of them is `SEEN` at least.
    """
    theme = THEMES[0] if dark else THEMES[1]
    grounds = [str(ground) for ground in (theme.background, theme.surface, theme.panel)]
    end = 255 if dark else 0
    for share in np.linspace(0, 1, 51):
        mixed = [round(value + share * (end - value)) for value in _channels(colour)]
        shown = "#{:02x}{:02x}{:02x}".format(*mixed)
        if min(contrast(shown, ground) for ground in grounds) >= SEEN:
            return shown
    raise AssertionError("black or white is seen on any ground of these themes")


def _channels(colour: str) -> list[int]:
    return [int(colour[k : k + 2], 16) for k in (1, 3, 5)]


def _luminance(colour: str) -> float:
    parts = np.array(_channels(colour)) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@lru_cache(maxsize=10_000)
def on(red: int, green: int, blue: int) -> str:
    """Return the style for text on a colour: black on light, white on dark."""
    ground = f"#{red:02x}{green:02x}{blue:02x}"
    letters = max("#000000", "#ffffff", key=lambda colour: contrast(colour, ground))
    return f"{letters} on rgb({red},{green},{blue})"


def plain(value: Any) -> Text:
    """Return a number or text without colour."""
    text = f"{value:.2f}" if isinstance(value, float) else printable(value)
    return Text(text, justify="right")
