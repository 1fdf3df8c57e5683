"""Slices of the fixations as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ....datasets.errors import InputError
from ....datasets.interval import Interval
from ....datasets.texts import figure_text
from ...runs.run import Run
from ...statistics.selectivity import TOP
from ..figures import error_bar
from ..overlays import ShownFigure, save_figure

_KINDS = {"order": "fixation", "time": "ms", "subjects": "group"}


def draw_slices(
    run: Run,
    path: str | Path | None = None,
    *,
    layers: Sequence[str] = (),
    categories: Sequence[str] = (),
) -> Figure:
    """Draw where subjects look, and what units score there, slice by slice.

    Above, the share of a slice's fixations that each category has; below, for each layer, the mean
    NSS of its ten cross-fitted units, with 95 % intervals over stimuli and subjects.

    Parameters
    ----------
    run : Run
        Made with ``by``.
    path : path, optional
        File to write (.png, .pdf, .svg). The returned figure displays itself in a notebook.
    layers : sequence of str
        By default the last.
    categories : sequence of str
        By default all that have a value.

    Raises
    ------
    InputError
        If the run has no slices, or no such layer or category.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> run = sp.probe(
    ...     "sample/masks.json",
    ...     model="gabor",
    ...     fixations="sample/fixations.csv",
    ...     out="run",
    ...     by="order:1,2+",
    ... )
    >>> figure = sp.draw_slices(run, "slices.png")
    """
    slices, by = run.by, run.info.parameters.by
    assert by is not None
    chosen = _among(run, "layer", layers, [layer.name for layer in run.info.layers])
    table = slices.table[slices.table["layer"].isin(chosen)]
    known = [name for name in run.categories if _has(slices.shares, name)]
    shown = _among(run, "category", categories, run.categories) if categories else known
    figure = ShownFigure(
        figsize=(max(5.0, 1.5 + 0.85 * len(shown)), 1.2 + 2.2 * (1 + len(chosen))),
        layout="constrained",
    )
    axes: Any = np.atleast_1d(figure.subplots(1 + len(chosen), 1, sharex=True))
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(slices.names)))
    _points(axes[0], slices.shares, "share", slices.names, shown, colours, 100)
    axes[0].set_ylabel("share of fixations (%)")
    axes[0].set_ylim(bottom=0)
    for axis, layer in zip(axes[1:], chosen, strict=True):
        _points(axis, table[table["layer"] == layer], "mean", slices.names, shown, colours, 1)
        axis.set_ylabel(f"{figure_text(layer)}\nmean NSS, {TOP} units", fontsize=9)
    names = [figure_text(name).replace(" ", "\n") for name in shown]
    entry = 0.5 + 0.08 * max(map(len, slices.names))  # of the legend, in inches
    axes[-1].set_xticks(range(len(shown)), names, fontsize=8)
    axes[0].set_title(figure_text(run.describe()), fontsize=9)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=min(len(slices.names), max(1, int(figure.get_figwidth() / entry))),
        frameon=False,
        title=_KINDS[by.kind],
        fontsize=8,
        title_fontsize=8,
    )
    if path is not None:
        save_figure(figure, Path(path))
    return figure


def _points(
    axis: Any,
    table: pd.DataFrame,
    name: str,
    slices: Sequence[str],
    categories: Sequence[str],
    colours: np.ndarray,
    scale: float,
) -> None:
    step = 0.7 / len(slices)
    rows = table.set_index(["slice", "category"])
    for k, slice_name in enumerate(slices):
        own = rows.loc[slice_name].loc[list(categories)]
        values = Interval(*(scale * own[key].to_numpy() for key in (name, "low", "high")))
        axis.errorbar(
            np.arange(len(categories)) + (k - (len(slices) - 1) / 2) * step,
            values.value,
            error_bar(values),
            fmt="o",
            markersize=4,
            elinewidth=1,
            color=colours[k],
            label=figure_text(slice_name),
        )
    axis.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(axis="x", length=0)


def _among(run: Run, what: str, given: Sequence[str], known: Sequence[str]) -> list[str]:
    if not given:
        return [known[-1]] if what == "layer" else list(known)
    for name in given:
        if name not in known:
            raise InputError(f"{run.folder}: no {what} {name!r}; expected {', '.join(known)}")
    return list(given)


def _has(shares: pd.DataFrame, category: str) -> bool:
    return bool(shares.loc[shares["category"] == category, "share"].notna().any())
