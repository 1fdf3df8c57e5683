"""Dissections and ablations: tables for the terminal, and the chart of detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.text import Text

from ...datasets.categories import COLOURS
from ...datasets.texts import figure_text
from ...terminal.tables import plain_table
from ..dissection.ablate import Ablation
from ..dissection.dissect import DETECTS, Dissection
from ..runs.run import Run
from ..statistics.selectivity import TOP
from .cells import MARKS, change, grid, intervals, number, wide
from .overlays import ShownFigure, save_figure
from .run import describe


def render_dissection(dissection: Dissection, against: pd.DataFrame | None = None) -> Group:
    """Return the terminal view of a dissection.

    Parameters
    ----------
    dissection : Dissection
    against : DataFrame, optional
        How it agrees with a run; see `iou_and_nss`.
    """
    info, summary = dissection.info, dissection.summary
    said = dissection.describe()
    if info.annotator:
        said += f"\nlabelled by: {info.annotator}"
    detectors, rotated, unit, iou = (
        wide(summary, "layer", name).iloc[::-1]
        for name in ("detectors", "detectors_rotated", "best_unit", "best_iou")
    )
    parts: list[RenderableType] = [
        Text(said, style="bold"),
        grid(
            f"Detectors: units whose highest intersection over union (IoU) is that with the "
            f"category, and above {DETECTS}; below it, how many there are where the layer's space "
            "is rotated at random",
            (detectors, rotated, iou),
            _detectors,
        ),
        grid("The highest IoU, and its unit", (iou, unit), _best),
        _unique(detectors, rotated),
    ]
    if against is not None:
        both = (*(wide(against, "layer", name).iloc[::-1] for name in ("spearman", "common")),)
        title = (
            "Two views of one unit: rank correlation of IoU with mean NSS over the layer's units; "
            f"below it, how many of the {TOP} highest are the same"
        )
        parts.append(grid(title, both, _agreement))
    height, width = info.parameters.grid
    notes = (
        f"A unit is on where its map is above the level that {100 * info.parameters.quantile:g} % "
        f"of its positions exceed; compared at {height}×{width}.",
        "What is not in a mask counts as not of the category: where masks mark only what people "
        "looked at, IoU is too low (NSS is not affected).",
    )
    return Group(*parts, *(Text(note, style="dim") for note in notes))


def _unique(detectors: pd.DataFrame, rotated: pd.DataFrame) -> RenderableType:
    columns = ("detectors", "categories detected", "rotated: detectors", "categories")
    table = plain_table("Detectors by layer", "layer", columns)
    for layer in detectors.index:
        cells = []
        for frame in (detectors, rotated):
            row = frame.loc[layer]
            cells += [str(int(row.sum())), str(int((row > 0).sum()))]
        table.add_row(str(layer), *cells)
    return table


def _detectors(count: float, rotated: float, iou: float) -> Text:
    if np.isnan(iou):
        return Text("–", style="dim")
    shown = Text(f"{count:.0f}" if count else "·", style="bold green" if count else "")
    return Text.assemble(shown, Text(f"\n{rotated:.0f}" if rotated else "\n·", style="dim"))


def _best(iou: float, unit: float) -> Text:
    if np.isnan(iou):
        return Text("–", style="dim")
    if np.isnan(unit):  # none overlaps it
        return Text(f"{iou:.3f}\n·")
    style = "bold green" if iou > DETECTS else ""
    return Text.assemble(Text(f"{iou:.3f}", style=style), Text(f"\n:{unit:.0f}", style="dim"))


def _agreement(spearman: float, common: float) -> Text:
    if np.isnan(common):
        return Text("–", style="dim")
    return Text.assemble(Text(number(spearman)), Text(f"\n{common:.0f}", style="dim"))


def render_ablation(run: Run, ablation: Ablation) -> Group:
    """Return the terminal view of an ablation: what the absence of units changes, and where."""
    table = ablation.table
    frames = (*intervals(table, "without", "difference"), wide(table, "without", "q"))
    beside = plain_table(
        "In the category's own regions: NSS of the predicted map",
        "category",
        ("regions", "all units", f"without its {TOP}", f"without {TOP} random ones"),
    )
    own = table[table["without"] == table["category"]]
    for row in own.to_dict("records"):
        values = (row["intact"], row["intact"] + row["change"], row["intact"] + row["random"])
        beside.add_row(str(row["category"]), str(row["n"]), *map(number, values))
    title = (
        f"{ablation.layer}: what setting {TOP} units for (rows) to zero changes in the NSS of the "
        "predicted map in the regions of (columns), more than setting as many random units of the "
        f"same mean activation does, {MARKS}"
    )
    note = (
        "The units are chosen on one half of the stimuli and ablated on the other; a dash: no "
        "region there, or none to choose by."
    )
    return Group(
        Text(describe(run), style="bold"),
        beside,
        grid(title, frames, change, "without"),
        Text(note, style="dim"),
    )


def draw_detectors(dissection: Dissection, path: str | Path | None = None) -> Figure:
    """Draw how many units of each layer detect which category (Bau et al. 2017, Figure 5).

    The thin bar beside each layer's is that of its space rotated at random.

    Parameters
    ----------
    dissection : Dissection
    path : path, optional
        File to write (.png, .pdf, .svg). The returned figure displays itself in a notebook.

    Raises
    ------
    InputError
        If matplotlib does not know the file's format.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> small = sp.Backbone("gabor", input_size=(64, 64))
    >>> found = sp.dissect("sample/masks.json", model=small, out="dissected")
    >>> figure = sp.draw_detectors(found, "detectors.png")
    """
    own, rotated = (
        wide(dissection.summary, "layer", name) for name in ("detectors", "detectors_rotated")
    )
    kept = [name for name in own.columns if (own[name] + rotated[name]).any()]
    spare = iter(colormaps["tab20"].colors * (1 + len(kept) // 20))  # type: ignore[attr-defined]
    colours = {name: COLOURS.get(name) or next(spare) for name in kept}
    layers = list(own.index)
    figure = ShownFigure(figsize=(8, 1.6 + 0.42 * len(layers)), layout="constrained")
    axis: Any = figure.subplots()
    for frame, offset, height, alpha in ((own, 0.14, 0.46, 1.0), (rotated, -0.26, 0.16, 0.55)):
        left = np.zeros(len(layers))
        for name in kept:
            counts = frame[name].to_numpy(np.float64)
            axis.barh(
                np.arange(len(layers)) + offset,
                counts,
                height,
                left=left,
                color=colours[name],
                alpha=alpha,
                edgecolor="0.3",
                linewidth=0.3,
                label=figure_text(name) if frame is own else None,
            )
            left += counts
    axis.set_yticks(range(len(layers)), map(figure_text, layers), fontsize=8)
    axis.set_ylim(-0.6, len(layers) - 0.4)
    axis.set_xlim(
        0, 1.04 * max(1.0, float(own.sum(axis=1).max()), float(rotated.sum(axis=1).max()))
    )
    axis.set_xlabel(f"detectors (IoU > {DETECTS}); thin: rotated at random")
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(figure_text(dissection.describe()), fontsize=9)
    if kept:
        figure.legend(*axis.get_legend_handles_labels(), loc="outside right", frameon=False)
    if path is not None:
        save_figure(figure, Path(path))
    return figure
