"""Figures of results; they draw what the analysis computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...datasets.categories import COLOURS
from ...datasets.interval import Interval
from ...datasets.stimuli import Dataset
from ...datasets.texts import figure_text, minus
from ..analysis.inside_outside import (
    MEASURES,
    Output,
)
from ..experiments.popout import Search
from ..experiments.sweep import Sweep
from ..experiments.tasks import Tasks, mean_map
from ..networks.load import load_trained
from ..popout.measures import SearchArray
from ..runs.inputs import model_of
from ..runs.run import Run
from ..saliency.metrics import empirical
from ..statistics.selectivity import TOP
from .cells import intervals
from .overlays import ShownFigure, panel, save_figure


def draw_table(run: Run, path: str | Path | None = None) -> Figure:
    """Draw a run's category table as a heat map: mean NSS of each layer's ten best units.

    Parameters
    ----------
    run : Run
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
    >>> gaze = "sample/fixations.csv"
    >>> run = sp.probe("sample/masks.json", model="gabor", fixations=gaze, out="run")
    >>> figure = sp.draw_table(run, "table.png")
    """
    table = run.table()
    values = table.to_numpy(np.float64)
    figure = ShownFigure(figsize=(9, 1.6 + 0.32 * len(table)), layout="constrained")
    axis: Any = figure.subplots()
    top = max(3.0, float(np.nanmax(values, initial=0)))
    image = axis.imshow(values, cmap="viridis", vmin=0, vmax=top, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else minus(f"{value:.2f}")
        colour = "black" if value > 0.6 * top or np.isnan(value) else "white"
        axis.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    names = [figure_text(name).replace(" ", "\n") for name in table.columns]
    axis.set_xticks(range(len(names)), names, fontsize=8)
    axis.set_yticks(range(len(table)), map(figure_text, table.index), fontsize=8)
    axis.set_title(figure_text(run.describe()), fontsize=9)
    figure.colorbar(image, label=f"mean NSS, top {TOP} units")
    if path is not None:
        save_figure(figure, Path(path))
    return figure


def draw_output(output: Output, path: Path) -> None:
    """Draw OS and OD against inner saliency, one dot per category (Figure 7).

    Raises
    ------
    InputError
        If matplotlib does not know the file's format.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes: Any = figure.subplots(1, 2)
    table = output.categories
    for axis, name, label in zip(
        axes,
        MEASURES[1:],
        ("output saliency OS (NSS)", "output difference OD (NSS)"),
        strict=True,
    ):
        for row in table.to_dict("records"):
            inner, measured = Interval.of(row, "inner"), Interval.of(row, name)
            axis.errorbar(
                inner.value,
                measured.value,
                error_bar(measured),  # vertical
                error_bar(inner),  # horizontal
                fmt="o",
                markersize=7,
                elinewidth=0.5,
                color=COLOURS.get(row["category"], "black"),
                markeredgecolor="black",
                markeredgewidth=0.4,
                ecolor="0.6",
                label=figure_text(row["category"]),
            )
        spearman = output.correlations.set_index("measure").loc[name, "spearman"]
        axis.set_title(minus(f"Spearman {spearman:.2f}"), fontsize=10)
        layer = figure_text(output.layer)
        axis.set_xlabel(f"inner saliency (NSS): {TOP} units of\n{layer}, cross-fitted")
        axis.set_ylabel(label)
        axis.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right", frameon=False)
    save_figure(figure, path)


def error_bar(interval: Interval) -> np.ndarray:
    """Return the distances from a value to its lower and upper bound, shape (2, n)."""
    return np.abs(np.stack([np.atleast_1d(bound - interval.value) for bound in interval[1:]]))


def draw_search(search: Search, path: Path, most: int = 8) -> None:
    """Draw search arrays beside the maps of all models (Figures 8 and 9).

    Shows the array with the largest contrast for each feature, up to ``most``; the target is
    outlined.

    Raises
    ------
    InputError
        If a map cannot be made or read, or matplotlib does not know the file's format.
    """
    strongest: dict[str, SearchArray] = {}
    for array in sorted(
        search.arrays, key=lambda array: np.nan_to_num(array.contrast), reverse=True
    ):
        strongest.setdefault(array.feature, array)
    shown = list(strongest.values())[:most]
    figure = Figure(figsize=(1.6 * (1 + len(search.maps)), 1.25 * len(shown)), layout="constrained")
    axes: Any = figure.subplots(len(shown), 1 + len(search.maps), squeeze=False)
    for row, array in zip(axes, shown, strict=True):
        row[0].imshow(search.stimuli.read(array.image))
        row[0].contour(array.target, levels=[0.5], colors="red", linewidths=0.8)
        row[0].set_ylabel(figure_text(array.feature), fontsize=7)
        for axis, map_of in zip(row[1:], search.maps.values(), strict=True):
            axis.imshow(map_of(array.image), cmap="gray")
        for axis in row:
            axis.set_xticks([])
            axis.set_yticks([])
    for axis, name in zip(axes[0], ["array", *search.maps], strict=True):
        axis.set_title(figure_text(name.replace(":", ":\n", 1)), fontsize=8)
    save_figure(figure, path, dpi=200)


def draw_gains(sweep: Sweep, path: Path) -> None:
    """Draw the gain of each category's top ten units, step by step (Figure 4).

    Raises
    ------
    InputError
        If matplotlib does not know the file's format.
    """
    steps = list(sweep.runs)[1:]
    if not steps:
        return
    table = sweep.categories[sweep.categories["tune"].isin(steps)]
    gain = intervals(table, "tune", "change")
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axis: Any = figure.subplots()
    width = 0.8 / len(steps)
    colours = _shades(len(steps))
    for k, (name, colour) in enumerate(zip(steps, colours, strict=True)):
        own = Interval(*(frame.loc[name].to_numpy(np.float64) for frame in gain))
        values = own.value
        place = np.arange(len(values)) + (k - (len(steps) - 1) / 2) * width
        axis.bar(
            place,
            values,
            width,
            yerr=error_bar(own),
            color=colour,
            label=f"tune {name}",
            error_kw={"elinewidth": 0.7},
        )
    axis.axhline(0, color="black", linewidth=0.6)
    axis.set_xticks(
        range(gain.value.shape[1]),
        [figure_text(category).replace(" ", "\n") for category in gain.value.columns],
    )
    axis.set_ylabel(f"gain in mean NSS\nof {TOP} units, cross-fitted")
    axis.set_title(
        f"{figure_text(sweep.layer)}: gain over tune {next(iter(sweep.runs))}, 95 % intervals",
        fontsize=10,
    )
    # The wide interval of a category with few regions would squeeze all the others.
    values = gain.value.to_numpy(np.float64)
    if not np.isnan(values).all():  # of too few stimuli no gain is known
        axis.set_ylim(np.nanmin(values) - 0.5, np.nanmax(values) + 0.5)
    figure.legend(loc="outside upper right", frameon=False, ncols=len(steps), fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def _shades(count: int) -> list:
    from matplotlib import colormaps

    return [colormaps["viridis"](place) for place in np.linspace(0.1, 0.85, count)]


def draw_tasks(tasks: Tasks, dataset: Dataset, path: Path, most: int = 6) -> None:
    """Draw fixations and the three networks' mean maps on test stimuli (Figure 11).

    Parameters
    ----------
    tasks : Tasks
    dataset : Dataset
        The dataset that the tasks were compared on.
    path : Path
        File to write (.png, .pdf, .svg).
    most : int
        Largest number of stimuli to draw, evenly spaced among the test stimuli.

    Raises
    ------
    InputError
        If a network or an image cannot be read, or matplotlib does not know the file's format.
    """
    models = {"pt": model_of(tasks.runs["pt"])}
    models |= {name: load_trained(tasks.folder / name) for name in ("sr", "sp")}
    layers = {name: model.layer(tasks.layer) for name, model in models.items()}
    stimuli = {stimulus.id: stimulus for stimulus in dataset.stimuli}
    places = np.linspace(0, len(tasks.images) - 1, min(most, len(tasks.images))).round().astype(int)
    rows = tasks.images.iloc[np.unique(places)].to_dict("records")
    figure = Figure(figsize=(11, 1.75 * len(rows)), layout="constrained")
    axes: Any = figure.subplots(len(rows), 5, squeeze=False)
    for axis, row in zip(axes, rows, strict=True):
        stimulus = stimuli[row["image_id"]]
        picture = np.asarray(dataset.stimuli.read(stimulus))
        looked = dataset.fixations.of(stimulus.id)
        size = (stimulus.height, stimulus.width)
        panel(axis[0], picture)
        panel(axis[1], picture, empirical(looked.x, looked.y, size, dataset.px_per_degree))
        said = "right" if row["correct"] else f"taken for {row['predicted']}"
        axis[0].set_title(figure_text(f"{row['scene']} ({said})"), fontsize=6)
        for place, (name, model) in zip(axis[2:], models.items(), strict=True):
            panel(place, picture, mean_map(model, layers[name], dataset, stimulus))
            place.set_title(minus(f"NSS {row[name]:.2f}"), fontsize=7)
    for place, title in zip(axes[0][1:], ("fixations", *models), strict=True):
        place.set_title(f"{figure_text(title)}\n{place.get_title()}".strip(), fontsize=8)
    save_figure(figure, path)
