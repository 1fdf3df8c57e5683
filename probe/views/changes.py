"""Changes of units, and a model's output, as tables for the terminal."""

from __future__ import annotations

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from ...datasets.interval import Interval
from ...terminal.tables import plain_table
from ..analysis.inner_saliency import HALVINGS
from ..analysis.inside_outside import MEASURES, Output
from ..analysis.transfer import Transfer
from ..analysis.unit_change import UnitChange, transition_table
from ..runs.run import Run
from ..statistics.category_tests import CategoryTests
from ..statistics.selectivity import THRESHOLD, TOP
from .cells import MARKS, count, grid, intervals, moved, number, score, wide, with_interval
from .cells import change as change_cell
from .run import describe

_MOST = 10  # regions or units listed


def render_change(before: Run, after: Run, change: UnitChange) -> Group:
    """Return the terminal view of a unit's change, by category and for the regions most changed."""
    title = f"{change.layer}, unit {change.unit}: mean NSS, {MARKS}"
    table = plain_table(title, "category", ("regions", "before", "after", "change"))
    for row in change.categories.to_dict("records"):
        gain = change_cell(*Interval.of(row, "difference", prefix=False), row["q"])
        cells = (number(row["before"]), number(row["after"]), Text(" ").join(gain.split()))
        table.add_row(str(row["category"]), str(row["n"]), *cells)
    most = plain_table("Regions where it changed most", "region", ("image", "before", "after"))
    for row in change.regions.head(_MOST).to_dict("records"):
        name = f"{row['annotation_id']} {row['category']}"
        most.add_row(name, str(row["image_id"]), number(row["before"]), number(row["after"]))
    head = Text(f"before: {describe(before)}\nafter:  {describe(after)}\n", style="bold")
    return Group(head, table, most)


def render_transitions(units: pd.DataFrame, categories: list[str], layer: str) -> Group:
    """Return the terminal view of `transitions`: how many units moved between categories."""
    counts = transition_table(units, categories)
    moved = units[units["before"] != units["after"]]
    between = moved[(moved["before"] != "none") & (moved["after"] != "none")]
    title = (
        f"Units of {layer} by the category they respond to most (mean NSS above {THRESHOLD}): "
        "before in rows, after in columns"
    )
    said = (
        f"{len(moved)} of {len(units)} units changed; {len(between)} from one category to another"
        + ("" if between.empty else ": ")
        + ", ".join(
            f"{row['unit']} ({row['before']} → {row['after']})"
            for row in between.head(_MOST).to_dict("records")
        )
        + (" …" if len(between) > _MOST else "")
    )
    return Group(grid(title, counts, count, "before"), Text(said))


def render_transfer(
    chosen_on: Run, scored_on: Run, found: Transfer, layer: str | None = None
) -> Group:
    """Return the terminal view of a transfer: shared categories by layer, or all pairs of one."""
    said = f"chosen on: {describe(chosen_on)}\nscored on: {describe(scored_on)}\n"
    said += f"on {found.stimuli} stimuli"
    if found.left_out:
        said += f"; {found.left_out} that chose the units too are left out"
    table = found.table
    if layer is None:
        table = table[table["category"] == table["to"]]
        pair = *intervals(table, "layer", "mean", prefix=False), wide(table, "layer", "own")
        title = (
            f"Mean NSS of the {TOP} best units of the first run in the second's regions, ± half "
            "its 95 % interval; below, the second's own, cross-fitted"
        )
        shown = grid(title, tuple(frame.iloc[::-1] for frame in pair), moved)
    else:
        table = table[table["layer"] == layer].assign(chosen_for=table["category"])
        table = table.assign(category=table["to"])
        title = f"{layer}: mean NSS of the {TOP} best units for (rows) in the regions of (columns)"
        pair = intervals(table, "chosen_for", "mean", prefix=False)
        shown = grid(title, tuple(pair), score, "chosen for")
    return Group(Text(said + "\n", style="bold"), shown)


def render_output(output: Output) -> Group:
    """Return the terminal view of a model's output: OS and OD, correlations, tests."""
    names = ("inner saliency", "output, OS", "difference, OD")
    title = (
        f"{TOP} units of {output.layer}, chosen and scored on different stimuli, and the output: "
        "mean NSS, ± half its 95 % interval"
    )
    table = plain_table(title, "category", ("regions", *names))
    for row in output.categories.to_dict("records"):
        cells = (with_interval(Interval.of(row, m)) for m in MEASURES)
        table.add_row(str(row["category"]), str(row["n"]), *cells)
    parts: list[RenderableType] = [Text(describe(output.run), style="bold"), table]
    for row in output.correlations.to_dict("records"):
        parts.append(
            Text(
                f"Spearman of inner saliency and {row['measure']} over {row['categories']} "
                f"categories: {row['spearman']:.2f}"
            )
        )
    tests = plain_table(
        "Do categories differ? p (statistic)", "measure", output.tests["inner"].overall["test"]
    )
    pairs = plain_table(
        "From how many other categories each differs, p < 0.05: Tukey / Dunn", "category", names
    )
    for measure, name in zip(MEASURES, names, strict=True):
        overall = output.tests[measure].overall.to_dict("records")
        cells = [f"{row['p']:.1g} ({row['statistic']:.1f})" for row in overall]
        tests.add_row(name, *("–" if "nan" in cell else cell for cell in cells))
    for category in output.categories["category"]:
        cells = [_differing(output.tests[measure], str(category)) for measure in MEASURES]
        pairs.add_row(str(category), *cells)
    two_way = "; ".join(
        f"{row['factor']} p {row['p']:.1g} (F {row['statistic']:.1f})"
        for row in output.measurements.to_dict("records")
    )
    notes = (
        f"Inner saliency and output as two measurements, ANOVA: {two_way}.",
        "p of inner saliency: units chosen on one half of the stimuli and tested on the other, "
        f"twice the median of {2 * HALVINGS} halves. Tukey's and Dunn's p hold for each measure as "
        "a whole.",
    )
    return Group(*parts, tests, pairs, *(Text(note) for note in notes))


def _differing(tests: CategoryTests, category: str) -> str:
    pairs = tests.pairs
    own = pairs[(pairs["first"] == category) | (pairs["second"] == category)]
    if own.empty:
        return "–"
    return f"{(own['p_tukey'] < 0.05).sum()} / {(own['p_dunn'] < 0.05).sum()}"
