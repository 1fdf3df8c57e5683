"""A run's results as tables for people: terminal, Markdown, CSV, JSON, LaTeX, HTML."""

from __future__ import annotations

import io
from html import escape

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...datasets.interval import Interval
from ...datasets.texts import csv_of, latex_text, markdown_text, printable
from ...terminal.console import TextConsole
from ..choices import Format
from ..runs.run import Run
from ..statistics.selectivity import THRESHOLD, TOP
from .cells import change, count, grid, intervals, number, paper_tables, score, shaded

_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
)


def render_run(run: Run) -> Group:
    """Return the terminal view of a run: its category tables and its numbers of regions."""
    top10 = Interval(*(run.table(f"top10_{name}") for name in ("mean", "low", "high")))
    parts: list[RenderableType] = [
        Text(describe(run), style="bold"),
        grid(
            f"Mean NSS of the top {TOP} units, ± half its 95 % interval over stimuli",
            top10,
            score,
        ),
        grid(
            f"The same, cross-validated: top {TOP} chosen on one half of the stimuli, "
            "scored on the other",
            run.table("top10_crossval"),
            shaded,
        ),
        grid(f"Units whose mean NSS is above {THRESHOLD}", run.table("above_threshold"), count),
    ]
    paper = paper_table(run)
    if paper is not None:
        title = "He et al. 2019, Table 2 (VGG-16, OSIE-SR), for comparison"
        parts.append(grid(title, paper, shaded))
    parts.append(_counts(run))
    return Group(*parts)


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
        If the run has no such category.
    """
    units = run.best_units(category).head(most)
    title = f"Best units for {category}"
    table = Table(
        title=title,
        title_justify="left",
        title_style="italic",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name in units.columns:
        table.add_column(name, justify="left" if name in ("layer", "name") else "right")
    for record in units.itertuples(index=False):
        table.add_row(*(number(value) for value in record))
    return Group(Text(describe(run), style="bold"), table)


def render_differences(before: Run, after: Run, differences: pd.DataFrame) -> Group:
    """Return the terminal view of a comparison; a difference is bold if its interval excludes 0."""
    changes = intervals(differences, "layer", "difference", prefix=False)
    last_first = Interval(*(frame.iloc[::-1] for frame in changes))
    return Group(
        Text(f"before: {describe(before)}\nafter:  {describe(after)}\n", style="bold"),
        grid(
            f"Change of the mean NSS of the top {TOP} units, ± half its 95 % interval "
            "(bold: the interval excludes 0)",
            last_first,
            change,
        ),
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


def as_html(renderable: RenderableType, title: str) -> str:
    """Return a terminal view as an HTML page, which may load and run nothing."""
    console = TextConsole(record=True, width=108, file=io.StringIO(), color_system="truecolor")
    console.print(renderable)
    page = console.export_html(inline_styles=True)
    head = f"<head>\n{_POLICY}\n<title>{escape(printable(title))}</title>"
    return page.replace("<head>", head, 1)


def _counts(run: Run) -> Text:
    regions = run.regions
    per = regions.loc[regions["n_fixations"] > 0, "category"].value_counts()
    text = Text("Regions: ", style="dim")
    text.append(", ".join(f"{name} {per.get(name, 0)}" for name in run.categories))
    if run.info.without_fixations:
        text.append(f"; {run.info.without_fixations} without fixations have no score")
    if run.info.bad_images:
        text.append(f"; {len(run.info.bad_images)} images could not be read and were skipped")
    return text
