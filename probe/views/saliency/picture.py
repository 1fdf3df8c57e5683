"""The maps of several saliency models on the same photographs, as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ....datasets.stimuli import Dataset
from ....datasets.texts import figure_text
from ...saliency.densities import without_logarithm
from ...saliency.maps import MapOf, maps_of
from ..overlays import ShownFigure, panel, save_figure

_SHOWN = 5  # photographs
_WIDTH = 1.9  # of a panel, in inches


def draw_maps(
    dataset: Dataset,
    models: Mapping[str, MapOf] | Sequence[str],
    scores: pd.DataFrame,
    path: str | Path | None = None,
) -> Figure:
    """Draw what several saliency models make of the same photographs, with their NSS.

    The photographs are not those that look best: from that on which the first model's NSS is the
    lowest to that on which it is the highest, in equal steps of rank. Each map is drawn from its
    own minimum to its own maximum.

    Parameters
    ----------
    dataset : Dataset
    models : sequence of str, or mapping
        As for `score`.
    scores : DataFrame
        Of `score`, of these models.
    path : path, optional
        File to write (.png, .pdf, .svg). The returned figure displays itself in a notebook.

    Raises
    ------
    InputError
        If a picture cannot be read, a map cannot be made, or matplotlib does not know the file's
        format.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> scores = sp.score(dataset, ["spectral", "human"], count=3)
    >>> figure = sp.draw_maps(dataset, ["spectral", "human"], scores, "models.png")
    """
    if not isinstance(models, Mapping):
        models = maps_of(models, dataset.stimuli, dataset)
    nss = scores.pivot(index="image_id", columns="model", values="NSS")[list(models)]
    ranked = nss.index[np.argsort(nss.iloc[:, 0].to_numpy(), kind="stable")]
    steps = np.linspace(0, len(ranked) - 1, min(_SHOWN, len(ranked))).round().astype(int)
    by_id = {stimulus.id: stimulus for stimulus in dataset.stimuli}
    chosen = [by_id[one] for one in ranked[steps]]
    figure = ShownFigure(
        figsize=(_WIDTH * (1 + len(models)), 0.5 + 1.6 * len(chosen)), layout="constrained"
    )
    title = f"{dataset.name}: photographs by rank of the NSS of {next(iter(models))}"
    if dataset.simulated:
        title += "; SIMULATED fixations"
    figure.suptitle(figure_text(title), fontsize=8)
    axes: Any = figure.subplots(len(chosen), 1 + len(models), squeeze=False)
    for row, stimulus in zip(axes, chosen, strict=True):
        picture = np.asarray(dataset.stimuli.read(stimulus))
        panel(row[0], picture)
        looked = dataset.fixations.of(stimulus.id)
        row[0].scatter(looked.x, looked.y, s=3, color="yellow", linewidths=0)
        row[0].set_xlabel(figure_text(stimulus.file_name), fontsize=6)
        for axis, (name, map_of) in zip(row[1:], models.items(), strict=True):
            panel(axis, picture, without_logarithm(map_of(stimulus)))
            axis.set_xlabel(f"NSS {nss.loc[stimulus.id, name]:.2f}", fontsize=6)
    axes[0, 0].set_title("fixations", fontsize=7)
    for axis, name in zip(axes[0, 1:], models, strict=True):
        axis.set_title(figure_text(name), fontsize=7)
    if path is not None:
        save_figure(figure, Path(path))
    return figure
