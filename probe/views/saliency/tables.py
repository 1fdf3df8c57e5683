"""Scores of saliency models, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ....datasets.interval import Interval
from ....terminal.tables import plain_table
from ...experiments.popout import SearchTables
from ...statistics.selectivity import TOP
from ..cells import number, paper_tables, with_interval


def render_search(search: SearchTables) -> Group:
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
        columns = (f"{TOP} units, cross-fitted", f"top {TOP}", *(["paper"] if values else []))
        title = (
            f"{name}: mean NMM of {TOP} units of each layer, chosen and scored on different arrays "
            "or, as in the paper, on the same"
        )
        table = plain_table(title, "layer", columns)
        for row in layers.to_dict("records"):
            crossval = Interval(row["nmm_crossval"], row["nmm_low"], row["nmm_high"])
            cells = [with_interval(crossval), Text(number(row["nmm"]))]
            cells += [Text(number(values.get(row["layer"], np.nan)))] if values else []
            table.add_row(str(row["layer"]), *cells)
        parts.append(table)
    return Group(*parts)


def render_scores(summary: pd.DataFrame, title: str) -> Group:
    """Return the terminal view of models' scores on photographs, beside the paper's Table 1.

    Numbers have half their intervals; the last row says what each model's maps are.
    """
    models = list(dict.fromkeys(summary["model"]))
    table = _by_model(title, "measure", models)
    for measure, rows in summary.groupby("measure", sort=False):
        by_model = rows.set_index("model")
        cells = []
        for model in models:
            row = by_model.loc[model].to_dict()
            cells.append(with_interval(Interval.of(row, "mean", prefix=False)))
        table.add_row(str(measure), *cells)
    kinds = summary.drop_duplicates("model").set_index("model")["kind"]
    table.add_row("is a", *(Text(str(kinds[model]), style="dim") for model in models))
    notes = [_IG_NOTE, *([_HUMAN_NOTE] if "human" in models else [])]
    above = (Text(note, style="dim") for note in notes)
    return Group(table, *above, _beside_table1(summary), Text(_MIT300_NOTE, style="dim"))


_IG_NOTE = (
    "IG is over the centre bias, in bits. A density's is that of the density as it is; a "
    "map's, of a density made of it, with blur and centre bias fitted on other images."
)
_HUMAN_NOTE = (
    "human: each subject's fixations against the others', mean over subjects. Its CC, SIM and "
    "KL are with one subject's map, so they are not comparable with the models'."
)
_MIT300_NOTE = (
    "MIT300's fixations are not public: nothing here is scored on them, and the images of "
    "the two columns differ."
)


def _beside_table1(summary: pd.DataFrame) -> Table:
    """Return the paper's Table 1, with our NSS of the models that it names."""
    means = summary[summary["measure"] == "NSS"].set_index("model")["mean"].to_dict()
    ours = {_plain(str(model)): mean for model, mean in means.items()}
    columns = ("paper, MIT300", "here")
    table = plain_table("NSS in the paper's Table 1", "model", columns)
    for name, value in paper_tables()["table1"]["nss"].items():
        here = ours.get(_plain(name.partition(" (")[0]), np.nan)
        table.add_row(Text(name, style="dim"), Text(f"{value:.2f}", style="dim"), number(here))
    return table


def _plain(name: str) -> str:
    """Return a model's name without case, spaces and signs, people as ``human``."""
    plain = "".join(sign for sign in name.casefold() if sign.isalnum())
    return {"humanio": "human", "deepgazeii": "deepgaze2"}.get(plain, plain)


def _by_model(title: str, first: str, models: Iterable[str]) -> Table:
    """Return an empty table with a column for each model; if it is too wide, nothing is cut off."""
    table = plain_table(title, first, models)
    for column in table.columns[1:]:
        column.no_wrap, column.overflow = False, "fold"
    return table


def _features(measures: pd.DataFrame) -> Table:
    nmm = measures.pivot_table(index="feature", columns="model", values="nmm", sort=False)
    table = _by_model("Mean NMM by what the target differs in", "feature", map(str, nmm.columns))
    for name, row in nmm.iterrows():
        table.add_row(str(name) or "–", *(number(value) for value in row))
    return table
