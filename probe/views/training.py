"""Trainings, and their effects on units, as tables for the terminal."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...datasets.interval import Interval
from ...terminal.tables import plain_table
from ..experiments.sweep import Sweep
from ..experiments.tasks import TASKS, Tasks
from ..records.train_info import TrainInfo
from ..statistics.selectivity import THRESHOLD, TOP
from .cells import (
    MARKS,
    change,
    grid,
    intervals,
    number,
    paper_tables,
    score,
    shaded,
    wide,
    with_count,
    with_interval,
)
from .run import describe


def render_training(info: TrainInfo) -> Group:
    """Return the terminal view of a complete training: its recipe and its result."""
    parameters, result = info.parameters, info.result
    assert result is not None
    backbone, measure = parameters.backbone, "NSS"
    if info.scenes:
        measure = f"balanced accuracy over {len(info.scenes)} scenes"
    recipe = {
        name: value
        for name, value in info.content()["parameters"].items()
        if name not in ("task", "backbone", "fixations", "split", "device")
    }
    height, width = backbone.input_size
    rows = {
        "trained": f"{parameters.task} on {info.dataset}"
        + (", SIMULATED fixations" if info.simulated else ""),
        "backbone": f"{backbone.model} up to {backbone.layer}, {height}×{width} px",
        "recipe": ", ".join(f"{name} {value}" for name, value in recipe.items()),
        "epochs": f"{result.epochs}, best: epoch {result.best_epoch}",
        f"validation {measure}": f"{result.validation:.3f}",
    }
    if backbone.weights is not None:
        weights = backbone.weights
        rows["weights"] = f"{weights.file or weights.source} (sha256 {weights.sha256})"
    if result.test is not None:
        rows[f"test {measure}"] = f"{result.test:.3f}"
    if "readout.safetensors" in info.sha256:
        rows["readout"] = f"sha256 {info.sha256['readout.safetensors']}"
    rows["command"] = info.command
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in rows.items():
        table.add_row(Text(name, style="bold"), value)
    return Group(table)


def render_sweep(sweep: Sweep) -> Group:
    """Return the terminal view of a sweep: Table 3, Figure 4, test NSS, Table 6."""
    first, *others = sweep.runs
    parts: list[RenderableType] = [
        Text(describe(sweep.runs[first]), style="bold"),
        *selectivity(sweep.categories, "tune", f"{sweep.layer}, "),
        gains(sweep.categories[sweep.categories["tune"].isin(others)], "tune", f"tune {first}"),
    ]
    paper = paper_tables()
    if as_in_paper(sweep):
        values = pd.DataFrame(paper["table3"]["mean_nss_top10"], index=paper["categories"]).T
        title = "He et al. 2019, Table 3 (VGG-16 trained on SALICON), for comparison"
        parts.append(grid(title, values, shaded, "tune"))
    parts.append(_prediction(sweep))
    if len(sweep.popout):
        parts.append(_popout(sweep, paper["table6"]["nmm_top10"]))
    return Group(*parts)


def as_in_paper(result: Sweep | Tasks) -> bool:
    """Return whether the paper has tables for this network and layer."""
    return (result.model, result.layer) == ("vgg16", "conv5_3")


def selectivity(frame: pd.DataFrame, rows: str, title: str) -> tuple[Table, Table]:
    """Return two tables for several runs: cross-fitted means of ten units, and the paper's.

    Parameters
    ----------
    frame : DataFrame
        The runs' summaries.
    rows : str
        Column that names the runs.
    title : str
        Beginning of both titles.
    """
    columns = ("top10_crossval", "top10_low", "top10_high")
    return (
        grid(
            f"{title}mean NSS of {TOP} units, chosen and scored on different stimuli, ± half its "
            "95 % interval",
            tuple(wide(frame, rows, name) for name in columns),
            score,
            rows,
        ),
        grid(
            f"{title}as in the paper: mean NSS of the top {TOP} units on the stimuli that chose "
            f"them, and below it the number of units above {THRESHOLD}",
            (wide(frame, rows, "top10_mean"), wide(frame, rows, "above_threshold")),
            with_count,
            rows,
        ),
    )


def gains(frame: pd.DataFrame, rows: str, over: str) -> Table:
    """Return the table of the changes of the top ten, with paired intervals.

    Parameters
    ----------
    frame : DataFrame
        ``category, change, change_low, change_high, change_q``, and the column that names the
        rows.
    rows : str
        Column that names the runs.
    over : str
        Name of the run compared with.
    """
    return grid(
        f"Gain over {over} of the former, {MARKS}",
        (*intervals(frame, rows, "change"), wide(frame, rows, "change_q")),
        change,
        rows,
    )


def _prediction(sweep: Sweep) -> Table:
    first = sweep.prediction["tune"].iloc[0]
    columns = ("NSS", f"over tune {first}")
    table = plain_table("Predicted maps, test stimuli", "tune", columns)
    for row in sweep.prediction.to_dict("records"):
        gain = with_interval(Interval.of(row, "change"))
        nss = with_interval(Interval.of(row, "nss"))
        table.add_row(str(row["tune"]), nss, gain if row["tune"] != first else "")
    return table


def _popout(sweep: Sweep, paper: dict[str, float]) -> Table:
    has_paper = as_in_paper(sweep)
    columns = (f"{TOP} units, cross-fitted", f"top {TOP}", "predicted map")
    table = plain_table(
        f"Mean NMM on search arrays (Table 6): units of {sweep.layer}, chosen and scored on "
        "different arrays or, as in the paper, on the same; predicted maps",
        "tune",
        (*columns, *(["paper"] if has_paper else [])),
    )
    for row in sweep.popout.to_dict("records"):
        crossval = Interval(row["nmm_crossval"], row["nmm_low"], row["nmm_high"])
        cells: list[Text | str] = [
            with_interval(crossval),
            number(row["nmm"]),
            number(row["readout_nmm"]),
        ]
        cells += [number(paper.get(str(row["tune"]), np.nan))] if has_paper else []
        table.add_row(str(row["tune"]), *cells)
    return table


def render_tasks(tasks: Tasks) -> Group:
    """Return the terminal view of a comparison of tasks: Tables 7 and 8."""
    trained = tasks.categories[tasks.categories["task"] != "pt"]
    parts: list[RenderableType] = [
        Text(describe(tasks.runs["pt"]), style="bold"),
        Text("; ".join(f"{name}: {meaning}" for name, meaning in TASKS.items())),
        *selectivity(tasks.categories, "task", f"{tasks.layer}, "),
        gains(trained, "task", "pt"),
        gains(tasks.between, "task", "sr"),
    ]
    paper = paper_tables() if as_in_paper(tasks) else None
    if paper:
        values = pd.DataFrame(paper["table7"]["mean_nss_top10"], index=paper["categories"]).T
        title = "He et al. 2019, Table 7 (VGG-16, SALICON-SAL-SCE), for comparison"
        parts.append(grid(title, values, shaded, "task"))
    columns = ("stimuli", *TASKS, *(["paper, sr"] if paper else []))
    table = plain_table(
        f"NSS of the mean activation map of {tasks.layer} on test stimuli whose scene sr "
        "recognised, or not (Table 8)",
        "prediction",
        columns,
    )
    for prediction, rows in tasks.attention.groupby("prediction", sort=False):
        by_task = {row["task"]: row for row in rows.to_dict("records")}
        cells = [with_interval(Interval.of(by_task[task], "nss", prefix=False)) for task in TASKS]
        cells += [Text(number(paper["table8"]["nss"][prediction]))] if paper else []
        table.add_row(str(prediction), str(rows["n"].iloc[0]), *cells)
    accuracy = (
        f"balanced accuracy of sr on test stimuli: {tasks.accuracy['test']:.1%} "
        f"(chance {tasks.accuracy['chance']:.1%})"
    )
    return Group(*parts, table, Text(accuracy))
