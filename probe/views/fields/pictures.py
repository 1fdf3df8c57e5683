"""Receptive fields: pictures of units' fields, before and after."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ....datasets.errors import InputError
from ....datasets.texts import figure_text
from ...fields.estimates import OPPONENT
from ...fields.fields import Fields
from ...fields.shares import ESTIMATES
from ..overlays import ShownFigure, save_figure

_CELL = 0.85  # inches


def draw_fields(found: Fields, path: str | Path | None = None, *, most: int = 12) -> Figure:
    """Draw units' receptive fields, of two networks one above the other.

    Of each layer, the units whose averages of noise are the most reliable, in both networks on
    average, not those that look best. Grey is 0; each field is stretched to its own largest value.
    A field that is centre–surround has a frame.

    Parameters
    ----------
    found : Fields
    path : path, optional
        File to write (.png, .pdf, .svg). The returned figure displays itself in a notebook.
    most : int
        Units drawn of each layer.

    Raises
    ------
    InputError
        If ``most`` is not positive, or matplotlib does not know the file's format.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> found = sp.fields(
    ...     sp.load_dataset("sample").stimuli,
    ...     sp.Backbone("squeezenet1_0", "random", input_size=(64, 64)),
    ...     layers="features.3",
    ...     out="drawn",
    ...     recipe=sp.FieldRecipe(best=2, noise=8),
    ... )
    >>> figure = sp.draw_fields(found, "fields.png", most=4)
    """
    if most < 1:
        raise InputError(f"most {most}: expected 1 or more")
    rows = [(estimate, network) for estimate in ESTIMATES for network in found.networks]
    names = "; ".join(f"{one}: {name}" for one, name in found.networks.items())
    width = 1.2 + _CELL * most
    said = (
        f"{names}. The {most} units of each layer with the most reliable averages of noise. Grey "
        "is 0, each field stretched to its own largest value; framed: centre–surround."
    )
    caption = "\n".join(figure_text(line) for line in wrap(said, int(13 * width)))
    height = len(found.windows) * (0.35 + _CELL * len(rows)) + 0.2 * (2 + caption.count("\n"))
    figure = ShownFigure(figsize=(width, height), layout="constrained")
    figure.suptitle(caption, fontsize=8)
    parts: Any = figure.subfigures(len(found.windows), 1, squeeze=False)
    units = found.units[found.units["strongest"]]
    for part, (layer, window) in zip(parts[:, 0], found.windows.items(), strict=True):
        here = units[units["layer"] == layer]
        shown = _most_reliable(here, most)
        axes: Any = part.subplots(len(rows), most, squeeze=False)
        title = f"{layer}: fields of {window.side} pixels"
        part.suptitle(figure_text(title), fontsize=9)
        for row, (estimate, network) in zip(axes, rows, strict=True):
            own = here[(here["network"] == network) & (here["estimate"] == estimate)]
            verdicts = own.set_index("unit")["centre_surround"]
            row[0].set_ylabel(f"{estimate}\n{network}" if len(found.networks) > 1 else estimate)
            row[0].yaxis.label.set_size(7)
            for axis in row:
                axis.set_xticks([])
                axis.set_yticks([])
                axis.spines[:].set_visible(False)
            for axis, unit in zip(row, shown, strict=False):
                axis.imshow(picture_of(found.fields[network, layer, estimate][unit]))
                if verdicts.get(unit, False):
                    axis.spines[:].set(visible=True, color="black", linewidth=1.6)
        for axis, unit in zip(axes[0], shown, strict=False):
            axis.set_title(f"unit {unit}", fontsize=7)
    if path is not None:
        save_figure(figure, Path(path))
    return figure


def picture_of(field: np.ndarray) -> np.ndarray:
    """Return a field as a picture: grey is 0, and its largest value black or white in a colour.

    Parameters
    ----------
    field : float array, shape (3, height, width)
        In luminance, red–green and blue–yellow.

    Returns
    -------
    float64 array, shape (height, width, 3)
        Red, green and blue from 0 to 1.
    """
    rgb = np.einsum("oc,ohw->hwc", OPPONENT.astype(np.float64), field)
    reach = np.abs(rgb).max()
    return 0.5 + 0.5 * rgb / reach if reach > 0 else np.full(rgb.shape, 0.5)


def _most_reliable(units: pd.DataFrame, most: int) -> list[int]:
    noise = units[units["estimate"] == "noise"]
    mean = noise.groupby("unit")["reliability"].mean()
    return [int(unit) for unit in mean.sort_values(ascending=False, kind="stable").index[:most]]
