"""Slices of the fixations as tables for the terminal."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from ....datasets.interval import Interval
from ....datasets.texts import printable
from ...runs.run import Run
from ...statistics.clusters import FDR, MIN_STIMULI
from ...statistics.selectivity import TOP
from ...statistics.two_way import MIN_SUBJECTS
from ..cells import change, grid, intervals, unmarked_score, wide
from ..run import describe

_KINDS = {
    "order": "order of fixations (1: the first on a stimulus)",
    "time": "time from the stimulus's appearance (ms), when fixations begin",
    "subjects": "groups of subjects",
}


def render_slices(run: Run) -> Group:
    """Return the terminal view of a run's slices: where subjects look, and what units score there.

    Raises
    ------
    InputError
        If the run has no slices.
    """
    slices, by = run.by, run.info.parameters.by
    assert by is not None
    first, *others = slices.names
    parts: list[RenderableType] = [
        Text(describe(run), style="bold"),
        Text(printable(f"by {_KINDS[by.kind]}: {', '.join(slices.names)}")),
        grid(
            "Where they looked: share of the slice's fixations in regions of the category, ± half "
            f"its 95 % interval{_marked(others, first)}",
            (*intervals(slices.shares, "slice", "share", prefix=False), *_q(slices.shares)),
            _share,
            "slice",
        ),
    ]
    table = slices.table
    parts.append(
        grid(
            f"{first}: mean NSS of {TOP} units at these fixations, the units chosen by all "
            "fixations on two thirds of the stimuli and scored on the third, ± half its 95 % "
            "interval",
            _reversed(intervals(table[table["slice"] == first], "layer", "mean", prefix=False)),
            unmarked_score,
        )
    )
    pairs = slices.differences[slices.differences["less"] == first]
    for name in others:
        own = pairs[pairs["slice"] == name]
        frames = (*intervals(own, "layer", "difference", prefix=False), wide(own, "layer", "q"))
        parts.append(
            grid(
                f"{name} less {first}: the same units in regions with fixations of both, ± half "
                f"its 95 % interval{_bold()}",
                _reversed(frames),
                change,
            )
        )
    return Group(*parts, *_notes(run))


def _marked(others: list[str], first: str) -> str:
    return f" (bold: not as in {first}, at a false discovery rate of {FDR:.0%})" if others else ""


def _bold() -> str:
    return f" (bold: not 0, at a false discovery rate of {FDR:.0%} over all differences)"


def _q(shares: pd.DataFrame) -> tuple[pd.DataFrame]:
    return (wide(shares, "slice", "q"),)


def _reversed(frames: tuple[pd.DataFrame, ...]) -> tuple[pd.DataFrame, ...]:
    """Return the tables with the last layer first, as all tables of layers."""
    return tuple(frame.iloc[::-1] for frame in frames)


def _share(value: float, low: float, high: float, q: float) -> Text:
    if np.isnan(value):
        return Text("–", style="dim")
    text = Text(f"{value:.1%}", style="bold" if q < FDR else "")
    if not np.isnan(low):
        text.append(f"\n±{100 * Interval(value, low, high).half_width:.1f}", style="dim")
    return text


def _notes(run: Run) -> list[Text]:
    by, table = run.info.parameters.by, run.by.table
    assert by is not None
    one = table[table["layer"] == table["layer"].iloc[0]]
    without = one.groupby("slice", sort=False)["without_fixations"].sum()
    notes = [*by.said]
    if without.any():
        listed = ", ".join(f"{name}: {n}" for name, n in without.items() if n)
        notes.append(f"Regions without a fixation in a slice are left out there: {listed}.")
    notes.append(
        "Intervals take both stimuli and subjects for samples; none with fewer than "
        f"{MIN_STIMULI} stimuli or {MIN_SUBJECTS} subjects."
    )
    return [Text(printable(note), style="dim") for note in notes]
