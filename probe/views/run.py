"""A run's results as tables for people: terminal, Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...datasets.errors import InputError
from ...datasets.interval import Interval
from ...datasets.texts import csv_of, latex_text, markdown_text
from ...terminal.tables import plain_table
from ..analysis.compare import shared_regions
from ..choices import Format
from ..runs.run import Run
from ..statistics.clusters import FDR, MIN_STIMULI
from ..statistics.selectivity import THRESHOLD, TOP
from .cells import (
    MARKS,
    bracketed,
    change,
    count,
    grid,
    intervals,
    number,
    paper_tables,
    percent,
    score,
    shaded,
    small,
    unmarked_score,
    wide,
    with_count,
    with_interval,
)


def render_run(run: Run) -> Group:
    """Return the terminal view of a run: its category tables and its numbers of regions."""
    top10 = Interval(*(run.table(f"top10_{name}") for name in ("crossval", "low", "high")))
    contrast = Interval(*(run.table(name) for name in Interval.none().columns("contrast")))
    parts: list[RenderableType] = [
        Text(describe(run), style="bold"),
        grid(
            f"Mean NSS of {TOP} units, chosen on two thirds of the stimuli and scored on the "
            "third, ± half its 95 % interval",
            top10,
            score,
        ),
        grid(
            f"As in the paper: mean NSS of the top {TOP} units on the stimuli that chose them (too "
            f"high, hence no interval), and below it the number of units above {THRESHOLD}",
            (run.table("top10_mean"), run.table("above_threshold")),
            with_count,
        ),
        grid(
            "Contrast: what the cross-fitted units score in the category's regions, less what "
            "they score in the other regions of the same stimuli",
            contrast,
            unmarked_score,
        ),
        grid(
            f"Selective units: contrast above 0, false discovery rate {FDR:.0%} over the table",
            run.table("selective"),
            count,
        ),
    ]
    if run.summary["ceiling"].notna().any():
        parts.append(_shares(run))
    paper = paper_table(run)
    if paper is not None:
        title = "He et al. 2019, Table 2 (VGG-16, OSIE-SR), for comparison"
        parts.append(grid(title, paper, shaded))
    return Group(*parts, *notes_of(run))


def _shares(run: Run) -> Table:
    """Return the table of the layers' shares of the ceiling, with the ceiling below."""
    title = (
        "Share of the ceiling, which is the NSS of the empirical saliency map of half of the "
        "observers at the other half's fixations"
    )
    table = grid(title, run.shares(), percent)
    table.add_section()
    table.add_row("ceiling", *(shaded(value, bold=False) for value in run.table("ceiling").iloc[0]))
    return table


def describe(run: Run) -> str:
    """Describe a run: network, masks, annotator, and a warning about images trained on."""
    line, info = run.describe(), run.info
    if info.trained_on:
        line += f"\nBEWARE: the network was trained on {info.trained_on} of the images"
    return f"{line}\nlabelled by: {info.annotator}" if info.annotator else line


def paper_table(run: Run) -> pd.DataFrame | None:
    """Return the paper's Table 2 for the run's layers; None if it does not apply to the run."""
    if run.info.parameters.model != "vgg16":
        return None
    tables = paper_tables()
    values = pd.DataFrame(tables["table2"]["mean_nss_top10"], index=tables["categories"]).T
    layers = [name for name in run.table().index if name in values.index]
    if not layers or not set(run.categories) >= set(tables["categories"]):
        return None
    return values.loc[layers]


def render_units(run: Run, category: str, most: int) -> Group:
    """Return the terminal view of the best units for a category.

    Raises
    ------
    InputError
        If the run has no such category, or no region of it.
    """
    units = run.best_units(category, most)
    if not units["n"].max() > 0:
        raise InputError(f"{run.folder}: no region of {category} has fixations")
    named = ["name"] if "name" in units else []
    columns = ("unit", *named, "NSS", "contrast", "q", "shuffled", "sd", "regions")
    title = (
        f"Best units for {category}, with 95 % intervals that allow for their selection from "
        f"{sum(layer.units for layer in run.info.layers)} units"
    )
    table = plain_table(title, "layer", columns)
    for row in units.to_dict("records"):
        table.add_row(
            str(row["layer"]),
            str(row["unit"]),
            *(str(row[name]) for name in named),
            bracketed(Interval.of(row, "mean")),
            bracketed(Interval.of(row, "contrast")),
            small(row["contrast_q"]),
            number(row["shuffled"]),
            number(row["sd"]),
            str(row["n"]),
        )
    note = (
        "contrast: NSS in the category's regions less that in the other regions of the same "
        "stimuli; q: false discovery rate of a contrast above 0, over all units and categories; "
        "shuffled: NSS at regions of the category from other stimuli"
    )
    chosen = Text(
        f"mean NSS of these {len(units)}: {units['mean'].mean():.2f}; of as many chosen on "
    )
    chosen.append("two thirds of the stimuli and scored on the third: ")
    chosen.append(with_interval(run.best_mean(category, len(units))))
    return Group(Text(describe(run), style="bold"), table, chosen, Text(note, style="dim"))


def render_differences(before: Run, after: Run, differences: pd.DataFrame) -> Group:
    """Return the terminal view of a comparison."""
    frames = (
        *intervals(differences, "layer", "difference", prefix=False),
        wide(differences, "layer", "q"),
    )
    shared, _ = shared_regions(before, after)
    both = f"on {len(shared)} regions of {shared['image_id'].nunique()} stimuli that both scored"
    few = ""
    if differences["q"].isna().any():
        few = f"No interval and no mark with fewer than {MIN_STIMULI} stimuli."
    return Group(
        Text(f"before: {describe(before)}\nafter:  {describe(after)}\n{both}\n", style="bold"),
        grid(
            f"Change of the mean NSS of {TOP} units, chosen and scored on different stimuli, "
            f"{MARKS}",
            tuple(frame.iloc[::-1] for frame in frames),
            change,
        ),
        Text(few, style="dim"),
    )


def formatted(frame: pd.DataFrame, kind: Format) -> str:
    """Format a data frame as CSV, JSON, LaTeX or Markdown."""
    if kind == "csv":
        return csv_of(frame).rstrip("\n")
    if kind == "json":
        return str(frame.to_json(orient="records", indent=1))
    if kind == "latex":
        safe = frame.map(lambda value: latex_text(value) if isinstance(value, str) else value)
        safe = safe.set_axis(list(map(latex_text, frame.columns)), axis=1)
        return safe.to_latex(index=False, float_format="%.2f", na_rep="--", escape=False)
    rows = [list(map(markdown_text, frame.columns)), ["---"] * frame.shape[1]]
    for record in frame.itertuples(index=False):
        rows.append([markdown_text(number(value)) for value in record])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def for_print(run: Run) -> pd.DataFrame:
    """Return layers × categories as texts such as ``2.57 (41)``: mean NSS (units above T)."""
    mean, above = run.table("top10_mean"), run.table("above_threshold")
    cells = pd.DataFrame(
        [
            ["–" if np.isnan(m) else f"{m:.2f} ({n})" for m, n in zip(*pair, strict=True)]
            for pair in zip(mean.to_numpy(), above.to_numpy(), strict=True)
        ],
        columns=mean.columns,
    )
    cells.insert(0, "layer", list(mean.index))
    return cells


def notes_of(run: Run) -> list[Text]:
    """Return what stands below the tables: the control, what has no interval, the counts."""
    notes, summary = [], run.summary
    if summary["shuffled"].notna().any():
        highest = summary.sort_values("shuffled").dropna(subset=["shuffled"]).iloc[-1]
        notes.append(
            "Position without content: at regions of the same category from other stimuli the top "
            f"{TOP} units score {summary['shuffled'].mean():.2f} on average, "
            f"{highest['shuffled']:.2f} at most ({highest['layer']}, {highest['category']})."
        )
    few = summary.loc[summary["top10_mean"].notna() & summary["top10_low"].isna(), "category"]
    if len(few):
        notes.append(
            f"No interval and no test with fewer than {MIN_STIMULI} stimuli: "
            f"{', '.join(dict.fromkeys(few))}."
        )
    alone = summary.loc[summary["top10_low"].notna() & summary["contrast_low"].isna(), "category"]
    if len(alone):
        notes.append(
            f"No test of the contrast where fewer than {MIN_STIMULI} stimuli also hold regions of "
            f"other categories: {', '.join(dict.fromkeys(alone))}."
        )
    if (run.folder / "images.parquet").exists() and run.images["sha256"].duplicated().any():
        count = int(run.images["sha256"].duplicated().sum())
        notes.append(f"BEWARE: {count} images are copies of others, and count as other stimuli.")
    if run.info.unlabelled:
        notes.append(f"{run.info.unlabelled} regions without a label are left out.")
    regions = run.regions
    per = regions.loc[regions["n_fixations"] > 0, "category"].value_counts()
    counts = "Regions: " + ", ".join(f"{name} {per.get(name, 0)}" for name in run.categories)
    if run.info.without_fixations:
        counts += f"; {run.info.without_fixations} without fixations have no score"
    if run.info.bad_images:
        counts += f"; {len(run.info.bad_images)} images could not be read and were skipped"
    return [Text(note, style="dim") for note in [*notes, counts]]
