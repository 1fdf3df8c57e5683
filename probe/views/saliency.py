"""Scores of saliency models, as tables for the terminal."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table

from ...datasets.interval import Interval
from ...terminal.tables import plain_table
from ..experiments.popout import Search
from ..statistics.selectivity import TOP
from .cells import number, paper_tables, with_interval


def render_search(search: Search) -> Group:
    """Return the terminal view of a search: models, features, layers, the paper's values."""
    paper = paper_tables()
    parts: list[RenderableType] = []
    if len(search.models):
        columns = ("NMM", "found", "GSI", "MSR target", "MSR background", "fixations")
        table = plain_table("Saliency models on search arrays", "model", columns)
        for row in search.models.to_dict("records"):
            table.add_row(
                str(row["model"]),
                with_interval(Interval.of(row, "nmm")),
                f"{row['found']:.0%}",
                *(number(row[k]) for k in ("gsi", "msr_target", "msr_background", "fixations")),
            )
        for name, value in paper["table4"]["nmm"].items():
            table.add_row(f"{name} (paper)", f"{value:.2f}", style="dim")
        parts.append(table)
        parts.append(_features(search.measures))
    for name, layers in search.layers.groupby("model", sort=False) if len(search.layers) else ():
        values = paper["table5"]["nmm_top10"] if str(name) == "vgg16" else {}
        columns = ("NMM", *(["paper"] if values else []))
        table = plain_table(f"{name}: mean NMM of each layer's top {TOP} units", "layer", columns)
        for row in layers.to_dict("records"):
            cells = [with_interval(Interval.of(row, "nmm"))]
            cells += [number(values.get(row["layer"], np.nan))] if values else []
            table.add_row(str(row["layer"]), *cells)
        parts.append(table)
    return Group(*parts)


def render_scores(summary: pd.DataFrame, title: str) -> Table:
    """Return the terminal view of models' scores on photographs, with half their intervals."""
    models = list(dict.fromkeys(summary["model"]))
    table = plain_table(title, "measure", models)
    for measure, rows in summary.groupby("measure", sort=False):
        by_model = rows.set_index("model")
        cells = []
        for model in models:
            row = by_model.loc[model].to_dict()
            cells.append(with_interval(Interval.of(row, "mean", prefix=False)))
        table.add_row(str(measure), *cells)
    return table


def _features(measures: pd.DataFrame) -> Table:
    nmm = measures.pivot_table(index="feature", columns="model", values="nmm", sort=False)
    table = plain_table("Mean NMM by what the target differs in", "feature", map(str, nmm.columns))
    for name, row in nmm.iterrows():
        table.add_row(str(name) or "–", *(number(value) for value in row))
    return table
