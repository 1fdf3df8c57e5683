"""What trainings did to the units, as tables for the terminal and as figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...datasets.stimuli import Dataset
from ...datasets.terminal import plain_table
from ..cells import (
    change,
    count,
    grid,
    half_width,
    number,
    paper_tables,
    shaded,
    wide,
    with_interval,
)
from ..fixation_metrics import empirical
from ..overlays import panel, save_figure
from ..sources import model_of
from ..statistics import THRESHOLD, TOP
from ..tables import describe
from .sweep import Sweep
from .tasks import TASKS, Tasks, layer_named, mean_map
from .trained import load_trained


def render_training(description: dict) -> Group:
    """Return the terminal view of a training: how to repeat it, and what came out."""
    parameters, result = description["parameters"], description["result"]
    backbone, measure = parameters["backbone"], "NSS"
    if description["scenes"]:
        measure = f"balanced accuracy over {len(description['scenes'])} scenes"
    weights = backbone["weights"]
    rows = {
        "trained": f"{parameters['task']} on {description['dataset']}"
        + (", SIMULATED fixations" if description["simulated"] else ""),
        "backbone": f"{backbone['model']} up to {backbone['layer']}, "
        f"{backbone['input_size'][0]}×{backbone['input_size'][1]} px",
        "weights": f"{weights['file'] or weights['source']} (sha256 {weights['sha256']})",
        "recipe": ", ".join(
            f"{name} {value}"
            for name, value in parameters.items()
            if name not in ("task", "backbone", "fixations", "split", "device")
        ),
        "epochs": f"{result['epochs']}, the best was number {result['best_epoch']}",
        f"validation {measure}": f"{result['validation']:.3f}",
    }
    if "test" in result:
        rows[f"test {measure}"] = f"{result['test']:.3f}"
    if "readout.safetensors" in description["sha256"]:
        rows["readout"] = f"sha256 {description['sha256']['readout.safetensors']}"
    rows["command"] = description["command"]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in rows.items():
        table.add_row(Text(name, style="bold"), value)
    return Group(table)


def render_sweep(found: Sweep) -> Group:
    """Return the terminal view of a sweep: Table 3, Figure 4, test NSS, Table 6."""
    first, *others = found.runs
    parts: list[RenderableType] = [
        Text(describe(found.runs[first]), style="bold"),
        *selectivity(found.categories, "tune", f"{found.layer}, "),
        gains(found.categories[found.categories["tune"].isin(others)], "tune", f"tune {first}"),
    ]
    paper = paper_tables()
    if as_in_paper(found):
        values = pd.DataFrame(paper["table3"]["mean_nss_top10"], index=paper["categories"]).T
        title = "He et al. 2019, Table 3 (VGG-16 trained on SALICON), for comparison"
        parts.append(grid(title, [values], shaded, "tune"))
    parts.append(_prediction(found))
    if len(found.popout):
        parts.append(_popout(found, paper["table6"]["nmm_top10"]))
    return Group(*parts)


def as_in_paper(found: Sweep | Tasks) -> bool:
    """Tell whether the paper has tables of the same network and layer."""
    return (found.model, found.layer) == ("vgg16", "conv5_3")


def selectivity(frame: pd.DataFrame, rows: str, title: str) -> tuple[Table, Table]:
    """Return mean NSS of the top ten and the units above T, of several runs' summaries."""
    mean, low, high, above = (
        wide(frame, rows, f"{name}")
        for name in ("top10_mean", "top10_low", "top10_high", "above_threshold")
    )
    return (
        grid(
            f"{title}mean NSS of the top {TOP} units, ± half its 95 % interval over stimuli",
            (mean, low, high),
            lambda value, low, high: shaded(value) + half_width(low, high),
            rows,
        ),
        grid(
            f"{title}units whose mean NSS is above {THRESHOLD}",
            (above,),
            count,
            rows,
        ),
    )


def gains(frame: pd.DataFrame, rows: str, over: str) -> Table:
    """Return the changes of the top ten, with paired intervals."""
    return grid(
        f"Gain over {over}, ± half its paired 95 % interval (bold: the interval excludes 0)",
        [wide(frame, rows, name) for name in ("change", "change_low", "change_high")],
        change,
        rows,
    )


def draw_gains(found: Sweep, path: Path) -> None:
    """Draw what each category's top ten gained, step by step (Figure 4)."""
    others = list(found.runs)[1:]
    if not others:
        return
    gain, low, high = (
        wide(found.categories, "tune", name).loc[others]
        for name in ("change", "change_low", "change_high")
    )
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axis: Any = figure.subplots()
    width = 0.8 / len(others)
    colours = _shades(len(others))
    for k, (name, colour) in enumerate(zip(others, colours, strict=True)):
        values = gain.loc[name].to_numpy(np.float64)
        error = np.abs(np.stack([low.loc[name], high.loc[name]]).astype(np.float64) - values)
        place = np.arange(len(values)) + (k - (len(others) - 1) / 2) * width
        axis.bar(
            place,
            values,
            width,
            yerr=error,
            color=colour,
            label=f"tune {name}",
            error_kw={"elinewidth": 0.7},
        )
    axis.axhline(0, color="black", linewidth=0.6)
    axis.set_xticks(range(gain.shape[1]), [str(one).replace(" ", "\n") for one in gain.columns])
    axis.set_ylabel(f"gain in mean NSS of the top {TOP}")
    axis.set_title(
        f"{found.layer}: gain over tune {next(iter(found.runs))}, 95 % intervals", fontsize=10
    )
    # A category of few regions has an interval that would leave the others no room.
    values = gain.to_numpy(np.float64)
    axis.set_ylim(np.nanmin(values) - 0.5, np.nanmax(values) + 0.5)
    figure.legend(loc="outside upper right", frameon=False, ncols=len(others), fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def _shades(count: int) -> list:
    from matplotlib import colormaps

    return [colormaps["viridis"](one) for one in np.linspace(0.1, 0.85, count)]


def _prediction(found: Sweep) -> Table:
    first = found.prediction["tune"].iloc[0]
    columns = ("NSS", f"over tune {first}")
    table = plain_table("Predicted maps, test stimuli", "tune", columns)
    for row in found.prediction.to_dict("records"):
        gain = with_interval(row["change"], row["change_low"], row["change_high"])
        nss = with_interval(row["nss"], row["nss_low"], row["nss_high"])
        table.add_row(str(row["tune"]), nss, gain if row["tune"] != first else "")
    return table


def _popout(found: Sweep, paper: dict[str, float]) -> Table:
    known = as_in_paper(found)
    columns = (f"{found.layer}, top {TOP}", "predicted map", *(["paper"] if known else []))
    table = plain_table("Mean NMM on search arrays (Table 6)", "tune", columns)
    for row in found.popout.to_dict("records"):
        cells: list[Text | str] = [
            with_interval(row["nmm"], row["nmm_low"], row["nmm_high"]),
            number(row["readout_nmm"]),
        ]
        cells += [number(paper.get(str(row["tune"]), np.nan))] if known else []
        table.add_row(str(row["tune"]), *cells)
    return table


def render_tasks(found: Tasks) -> Group:
    """Return the terminal view of two tasks compared: Tables 7 and 8."""
    trained = found.categories[found.categories["task"] != "pt"]
    parts: list[RenderableType] = [
        Text(describe(found.runs["pt"]), style="bold"),
        Text("; ".join(f"{name}: {meaning}" for name, meaning in TASKS.items())),
        *selectivity(found.categories, "task", f"{found.layer}, "),
        gains(trained, "task", "pt"),
        gains(found.between, "task", "sr"),
    ]
    paper = paper_tables() if as_in_paper(found) else None
    if paper:
        values = pd.DataFrame(paper["table7"]["mean_nss_top10"], index=paper["categories"]).T
        title = "He et al. 2019, Table 7 (VGG-16, SALICON-SAL-SCE), for comparison"
        parts.append(grid(title, [values], shaded, "task"))
    columns = ("stimuli", *TASKS, *(["paper, sr"] if paper else []))
    table = plain_table(
        f"NSS of the mean activation map of {found.layer} on test stimuli whose scene sr "
        "recognised, or not (Table 8)",
        "prediction",
        columns,
    )
    for prediction, rows in found.attention.groupby("prediction", sort=False):
        by_task = {row["task"]: row for row in rows.to_dict("records")}
        cells = [
            with_interval(by_task[task]["nss"], by_task[task]["low"], by_task[task]["high"])
            for task in TASKS
        ]
        cells += [Text(number(paper["table8"]["nss"][prediction]))] if paper else []
        table.add_row(str(prediction), str(rows["n"].iloc[0]), *cells)
    accuracy = (
        f"balanced accuracy of sr on test stimuli: {found.accuracy['test']:.1%} "
        f"(chance {found.accuracy['chance']:.1%})"
    )
    return Group(*parts, table, Text(accuracy))


def draw_tasks(found: Tasks, dataset: Dataset, path: Path, most: int = 6) -> None:
    """Draw fixations and the three networks' mean maps on test stimuli (Figure 11).

    The stimuli are taken at equal distances among those tested.
    """
    models = {"pt": model_of(found.runs["pt"])}
    models |= {name: load_trained(found.folder / name) for name in ("sr", "sp")}
    layers = {name: layer_named(model, found.layer) for name, model in models.items()}
    stimuli = {one.id: one for one in dataset.stimuli}
    places = np.linspace(0, len(found.images) - 1, min(most, len(found.images))).round().astype(int)
    rows = found.images.iloc[np.unique(places)].to_dict("records")
    figure = Figure(figsize=(11, 1.75 * len(rows)), layout="constrained")
    axes: Any = figure.subplots(len(rows), 5, squeeze=False)
    for axis, row in zip(axes, rows, strict=True):
        stimulus = stimuli[row["image_id"]]
        picture = np.asarray(dataset.stimuli.read(stimulus))
        looked = dataset.fixations.of(stimulus.id)
        size = (stimulus.height, stimulus.width)
        panel(axis[0], picture)
        panel(axis[1], picture, empirical(looked.x, looked.y, size, dataset.px_per_degree))
        said = "right" if row["correct"] else f"took for {row['predicted']}"
        axis[0].set_title(f"{row['scene']} ({said})", fontsize=6)
        for place, (name, model) in zip(axis[2:], models.items(), strict=True):
            panel(place, picture, mean_map(model, layers[name], dataset, stimulus))
            place.set_title(f"NSS {row[name]:.2f}", fontsize=7)
    for place, title in zip(axes[0][1:], ("fixations", *models), strict=True):
        place.set_title(f"{title}\n{place.get_title()}".strip(), fontsize=8)
    save_figure(figure, path)
