"""What the table shows at each level: a run's layers, a layer's units, a unit's regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd
from rich.text import Text

from ...datasets.interval import Interval
from ...datasets.texts import printable
from ...probe.analysis.compare import compare
from ...probe.runs.run import Run
from ...probe.views.cells import bracketed, small
from ...probe.views.run import paper_table
from ..frame.shades import difference, plain, score, tally

MEASURES = {
    "top10_crossval": "mean NSS of 10 units, chosen and scored on different stimuli",
    "top10_mean": "as in the paper: mean NSS of the top 10 units on the stimuli that chose them",
    "above_threshold": "units whose mean NSS is above 1.5",
    "contrast": "contrast of the cross-fitted units: category less other regions of its stimuli",
    "selective": "selective units: contrast above 0, false discovery rate 5 % over the table",
    "shuffled": "position without content: the top 10 units at regions of other stimuli",
    "share": "share of the ceiling (what half of the observers predict of the others), in percent",
    "paper": "He et al. 2019, Table 2",
}

_WHOLE = ("above_threshold", "selective", "share")  # shown without decimals
_UNITS, _REGIONS = 60, 200  # rows listed at most


@dataclass(frozen=True)
class Level:
    """A table.

    Attributes
    ----------
    what : str
        What it shows.
    frame : DataFrame
        The same as data.
    columns : list of str
    rows : list of list of Text
    layers : list of str
        The layer of each row, if the columns are categories.
    sources : list of str
        The frame's column behind each column, if a row of one is a row of the other.
    """

    what: str
    frame: pd.DataFrame
    columns: list[str] = field(default_factory=list)
    rows: list[list[Text]] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


def measured(run: Run, measure: str) -> Level:
    """Return a measure: layers × categories."""
    paper = paper_table(run) if measure == "paper" else None
    if paper is not None:
        table = paper
    elif measure == "share":
        table = 100 * run.shares()
    else:
        table = run.table(measure)
    return tabled(MEASURES[measure], table, tally if measure in _WHOLE else score)


def tabled(what: str, table: pd.DataFrame, cell: Callable[[float], Text] = score) -> Level:
    """Return a table of layers × categories, and what it shows."""
    layers = list(map(str, table.index))
    rows = [
        [Text(printable(layer)), *map(cell, row)]
        for layer, row in zip(layers, table.to_numpy(float).tolist(), strict=True)
    ]
    frame = table.reset_index(names="layer")
    columns = ["layer", *map(str, table.columns)]
    return Level(what, frame, columns, rows, layers, list(frame.columns))


def compared(earlier: Run, run: Run, name: str) -> Level:
    """Return the change from an earlier run: after, before and change of each layer.

    Raises
    ------
    InputError
        If the runs cannot be compared.
    """
    frame = compare(earlier, run)
    layers, rows = [], []
    for layer, part in reversed(list(frame.groupby("layer", sort=False))):
        layers += [str(layer)] * 3
        both = [list(map(score, part[column].tolist())) for column in ("after", "before")]
        change = [
            difference(*values) for values in part[["difference", "q"]].itertuples(index=False)
        ]
        rows += [
            [Text(printable(layer)), *both[0]],
            [Text("  before", style="dim"), *both[1]],
            [Text("  change", style="dim"), *change],
        ]
    what = (
        f"mean NSS of 10 cross-fitted units, before: {name}; change bold: not 0, false discovery "
        "rate 5 %"
    )
    return Level(what, frame, ["layer", *dict.fromkeys(frame["category"])], rows, layers)


def units(run: Run, layer: str, category: str) -> Level:
    """Return a layer's units for a category, best first, with intervals for these so chosen."""
    frame = run.best_units(category, _UNITS, layer).drop(columns="layer")
    named = ["name"] if "name" in frame else []
    rows = [
        [
            plain(row["unit"]),
            *(plain(row[name]) for name in named),
            bracketed(Interval.of(row, "mean")),
            bracketed(Interval.of(row, "contrast")),
            Text(small(row["contrast_q"])),
            plain(row["shuffled"]),
        ]
        for row in frame.to_dict("records")
    ]
    what = f"{layer}: units for {category}, the best first; 95 % intervals allow for the choice"
    columns = ["unit", *named, "NSS", "contrast", "q", "shuffled"]
    sources = ["unit", *named, "mean", "contrast", "contrast_q", "shuffled"]
    return Level(what, frame, columns, rows, sources=sources)


def regions(run: Run, layer: str, unit: int, category: str, worst: bool) -> Level:
    """Return a category's regions, ordered by a unit's score."""
    table = run.regions.assign(nss=run.scores_of(layer)[:, unit])
    table = table[(table["category"] == category) & (table["n_fixations"] > 0)]
    table = table.sort_values("nss", ascending=worst, kind="stable").head(_REGIONS)
    frame = table[["annotation_id", "image_id", "nss", "n_fixations"]]
    rows = [[plain(value) for value in row] for row in frame.itertuples(index=False)]
    what = f"{layer}, unit {unit}, {category}: the {'worst' if worst else 'best'} regions first"
    columns = ["region", "image", "NSS", "fixations"]
    return Level(what, frame, columns, rows, sources=list(frame.columns))


def search(frame: pd.DataFrame, what: str) -> Level:
    """Return the results of `probe popout` by feature."""
    rows = [
        [Text(printable(row[0])), *(score(value) for value in row[1:])]
        for row in frame.itertuples(index=False)
    ]
    columns = list(map(str, frame.columns))
    return Level(what, frame, columns, rows, sources=list(frame.columns))
