"""Plots as plain data, which the pages' scripts draw."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from ....datasets.categories import COLOURS
from ....datasets.interval import Interval
from ....datasets.texts import minus, printable
from ...runs.run import Run
from ...statistics.selectivity import THRESHOLD, TOP
from .content import Content, finite

_SPARE = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#888888")
_BIN = 0.1  # of NSS, in distributions
_MOST_BINS = 80


@dataclass(frozen=True)
class Mark:
    """A point of a plot: its place, perhaps an interval, what is said of it, where it leads."""

    x: float
    y: float | None
    low: float | None = None
    high: float | None = None
    text: str = ""
    href: str = ""


@dataclass(frozen=True)
class Series:
    """Marks of one kind."""

    name: str
    colour: str
    marks: list[Mark]


@dataclass(frozen=True)
class Plot:
    """A plot.

    Attributes
    ----------
    title, note : str
        What stands above it.
    kind : "lines", "points" or "histograms"
    x, y : str
        What the axes show.
    names : list of str
        Of whole numbers from 0 on the horizontal axis; empty for an axis of numbers.
    series : list of Series
    level : float or None
        Where a line across is drawn; upright in histograms.
    diagonal : bool
        Whether both axes are the same, with a line where they are equal.
    bins : dict
        Of histograms: ``start``, ``width``; ``rows`` with a ``name`` and, for each choice, the
        counts; ``choices``.
    """

    title: str
    note: str
    kind: Literal["lines", "points", "histograms"]
    x: str
    y: str
    names: list[str] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    level: float | None = None
    diagonal: bool = False
    bins: dict[str, Any] | None = None

    def data(self) -> dict[str, Any]:
        """Return it as the scripts read it."""
        return asdict(self)


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each name: a category's own, or one that no other has while they last."""
    names = list(names)
    free = [colour for name, colour in COLOURS.items() if name not in names]
    others = itertools.cycle((*_SPARE, *free))
    return {name: COLOURS.get(name) or next(others) for name in names}


def mark(x: float, interval: Interval, said: str, href: str = "", unit: str = "") -> Mark:
    """Return a mark of a number with its interval; the words say both."""
    value, low, high = map(finite, interval)
    text = said
    if value is not None:
        ends = "" if low is None or high is None else f" [{_short(low)}, {_short(high)}]"
        text = f"{said}: {_short(value)}{ends}{unit}"
    return Mark(x, value, low, high, printable(text), href)


def _short(value: float) -> str:
    return minus(f"{value:.2f}" if abs(value) < 1e5 else f"{value:.3g}")


def plots_of(content: Content) -> list[Plot]:
    """Return the plots of a run's first page; none where no unit was scored."""
    shown = [name for name in content.run.categories if content.counts[name]]
    if not shown:
        return []
    return [_above(content, shown), _against(content, shown), _distribution(content.run, shown)]


def _above(content: Content, shown: Sequence[str]) -> Plot:
    run, palette = content.run, colours(content.run.categories)
    table = run.table("above_threshold").iloc[::-1]
    series = []
    for category in shown:
        marks = [
            Mark(
                place,
                finite(value),
                text=printable(f"{layer}, {category}: {value:.0f} of {units} units"),
                href=content.address(layer, category),
            )
            for place, (layer, value, units) in enumerate(
                zip(
                    table.index,
                    table[category],
                    (one.units for one in run.info.layers),
                    strict=True,
                )
            )
        ]
        series.append(Series(printable(category), palette[category], marks))
    return Plot(
        title=f"Units above T = {THRESHOLD}, by layer",
        note="How many units of each layer have a mean NSS above T in a category's regions.",
        kind="lines",
        x="layer",
        y="units",
        names=list(map(printable, table.index)),
        series=series,
    )


def _against(content: Content, shown: Sequence[str]) -> Plot:
    run, palette = content.run, colours(content.run.categories)
    rows = run.summary.to_dict("records")
    series = []
    for category in shown:
        marks = []
        for row in rows:
            if row["category"] != category or np.isnan(row["top10_mean"]):
                continue
            fitted = Interval(row["top10_crossval"], row["top10_low"], row["top10_high"])
            selected = _short(row["top10_mean"])
            said = f"{row['layer']}, {category}: selected {selected}, cross-fitted"
            href = content.address(row["layer"], category)
            marks.append(mark(round(float(row["top10_mean"]), 4), fitted, said, href))
        series.append(Series(printable(category), palette[category], marks))
    return Plot(
        title="Cross-fitted against selected",
        note=f"Mean NSS of {TOP} units on stimuli that had no part in choosing them, against that "
        "of the top ten on the stimuli that chose them: below the diagonal, as much was luck.",
        kind="points",
        x=f"top {TOP}, as in the paper (NSS)",
        y="cross-fitted (NSS)",
        series=series,
        diagonal=True,
    )


def _distribution(run: Run, shown: Sequence[str]) -> Plot:
    units = run.units.dropna(subset=["mean"])
    low, high = float(units["mean"].min()), float(units["mean"].max())
    width = _BIN * max(1, round((high - low) / _BIN / _MOST_BINS + 0.5))
    start = width * np.floor(low / width)
    edges = start + width * np.arange(int(np.ceil((high - start) / width)) + 2)
    grouped = dict(tuple(units.groupby(["layer", "category"], sort=False)["mean"]))
    rows = [
        {
            "name": printable(layer.name),
            "counts": [
                np.histogram(grouped.get((layer.name, name), []), edges)[0].tolist()
                for name in shown
            ],
        }
        for layer in reversed(run.info.layers)
    ]
    bins = {"start": round(start, 4), "width": width, "rows": rows}
    return Plot(
        title="Distribution of units",
        note="Mean NSS of all units of each layer in a category's regions. Heights are square "
        f"roots of numbers, so that few units show too. Green: above T = {THRESHOLD}.",
        kind="histograms",
        x="mean NSS of a unit",
        y="units",
        level=THRESHOLD,
        bins={**bins, "choices": list(map(printable, shown))},
    )
