"""Activation maps of single units, drawn over their stimuli (Figures 3, 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.figure import Figure

from ...datasets.masks.mask_set import MaskSet
from ...datasets.masks.regions import mask_of
from ...datasets.stimuli import Stimuli
from ...datasets.texts import figure_text, minus
from ..analysis.examples import examples
from ..analysis.unit_change import UnitChange
from ..layers.layers import Layer
from ..networks.activation import activation, activations
from ..networks.model import Model
from ..runs.inputs import layers_of, masks_of, model_of
from ..runs.run import Run
from .overlays import ShownFigure, panel, save_figure
from .run import describe

_WIDTH = 1.7  # of a panel, in inches


def draw_best_units(
    run: Run,
    path: str | Path | None = None,
    *,
    layers: str | Sequence[str] = (),
    categories: str | Sequence[str] = (),
    masks: str | Path | None = None,
    root: str | Path | None = None,
    model: str | Path | None = None,
) -> Figure:
    """Draw each layer's best unit for each category, over a typical stimulus (Figure 3).

    A row for each category: a stimulus with one of the category's regions outlined, then for each
    layer the activation map, on that stimulus, of the layer's unit with the highest mean NSS for
    the category. The region is not the one that looks best: it has the median NSS by the best unit
    of all that are drawn for the category. That unit's title is bold. Titles give the unit, counted
    from 0, its NSS in the outlined region, and its mean over the category's regions.

    Parameters
    ----------
    run : Run
    path : path, optional
        File to write (.png, .pdf, .svg). The returned figure displays itself in a notebook.
    layers : str or sequence of str
        Names or wildcards; by default all layers of the run.
    categories : str or sequence of str
        By default all that have regions with fixations.
    masks, root, model : path, optional
        The mask file, the folder of images, and the file of weights or training folder, if they
        have moved since the run.

    Raises
    ------
    InputError
        If the run lacks a layer or a category, a category has no region with fixations, an input
        is missing or not the run's, or matplotlib does not know the file's format.

    References
    ----------
    He et al., CVPR 2019, Figure 3, which shows one stimulus, its choice not stated.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> gaze = "sample/fixations.csv"
    >>> run = sp.probe("sample/masks.json", model="gabor", fixations=gaze, out="run")
    >>> figure = sp.draw_best_units(run, "units.png", categories=["person head", "text"])
    """
    table = examples(run, layers, categories)
    mask_set, folder, _ = masks_of(
        run, None if masks is None else Path(masks), None if root is None else Path(root)
    )
    network = model_of(run, None if model is None else Path(model), "--model")
    names = list(dict.fromkeys(table["layer"]))
    known = layers_of(run, network)
    drawn = [known[name] for name in names]
    stimuli = Stimuli(folder, tuple(mask_set.images))
    images = {stimulus.id: stimulus for stimulus in stimuli}
    regions = {region.id: region for region in mask_set.annotations}
    rows = list(table.groupby("category", sort=False))
    shown = [images[units["image_id"].iloc[0]] for _, units in rows]
    heights = [_WIDTH * stimulus.height / stimulus.width + 0.2 for stimulus in shown]
    width = _WIDTH * (1 + len(names))
    said = (
        f"{describe(run)}\nActivation maps of each layer's best unit for a category: its NSS in "
        "the outlined region, and its mean over the category's regions. The region is the median "
        "one by the unit in bold."
    )
    lines = [line for text in said.split("\n") for line in wrap(text, int(14 * width))]
    caption = "\n".join(map(figure_text, lines))
    height = sum(heights) + 0.2 + 0.13 * (1 + caption.count("\n"))
    figure = ShownFigure(figsize=(width, height), layout="constrained")
    figure.suptitle(caption, fontsize=8)
    axes: Any = figure.subplots(
        *(len(rows), 1 + len(names)), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for row, (category, units), stimulus in zip(axes, rows, shown, strict=True):
        heads = [f"{figure_text(name)}\n" if row[0] is axes[0][0] else "" for name in names]
        region = regions[units["annotation_id"].iloc[0]]
        picture = stimuli.read(stimulus)
        maps = activations(network, drawn, picture)
        panel(row[0], np.asarray(picture))
        row[0].set_ylabel(figure_text(category), fontsize=8)
        row[0].set_title(figure_text(Path(stimulus.file_name).stem), fontsize=7)
        for axis, head, unit in zip(row[1:], heads, units.to_dict("records"), strict=True):
            panel(axis, np.asarray(picture), maps[unit["layer"]][unit["unit"]])
            nss = minus(f"{unit['nss']:.2f}, mean {unit['mean']:.2f}")
            title = f"{head}unit {unit['unit']}: {nss}"
            axis.set_title(title, fontsize=7, fontweight="bold" if unit["best"] else "normal")
        for axis in row:
            outline = axis.contour(
                mask_of(region, stimulus), levels=[0.5], colors="white", linewidths=1
            )
            outline.set_path_effects([patheffects.withStroke(linewidth=2, foreground="black")])
    if path is not None:
        save_figure(figure, Path(path))
    return figure


def draw_change(
    change: UnitChange,
    models: tuple[Model, Model],
    layers: tuple[Layer, Layer],
    masks: MaskSet,
    root: Path,
    path: Path,
    most: int = 6,
) -> None:
    """Draw a unit's maps, before and after, on the stimuli where it changed most.

    In each stimulus, the region whose score changed most is outlined.

    Parameters
    ----------
    change : UnitChange
    models : tuple of 2 Models
        The networks before and after.
    layers : tuple of 2 Layers
        The unit's layer in each, as the runs read it; see `layers_of`.
    masks : MaskSet
        The masks that the runs were made with.
    root : Path
        Folder of the images.
    path : Path
        File to write (.png, .pdf, .svg).
    most : int
        Largest number of stimuli to draw.

    Raises
    ------
    InputError
        If an image cannot be read, or matplotlib does not know the file's format.
    """
    stimuli = Stimuli(root, tuple(masks.images))
    images = {stimulus.id: stimulus for stimulus in stimuli}
    regions = {region.id: region for region in masks.annotations}
    chosen = change.regions.drop_duplicates("image_id").head(most)
    figure = Figure(figsize=(9, 2.35 * len(chosen)), layout="constrained")
    axes: Any = figure.subplots(len(chosen), 3, squeeze=False)
    for row, record in zip(axes, chosen.to_dict("records"), strict=True):
        stimulus = images[record["image_id"]]
        picture = stimuli.read(stimulus)
        mask = mask_of(regions[record["annotation_id"]], stimulus)
        panel(row[0], np.asarray(picture))
        name = f"{Path(stimulus.file_name).stem}: {record['category']}"
        row[0].set_ylabel(figure_text(name), fontsize=8)
        for axis, model, layer, when in zip(
            row[1:], models, layers, ("before", "after"), strict=True
        ):
            panel(axis, np.asarray(picture), activation(model, layer, picture)[change.unit])
            axis.set_title(minus(f"{when}: NSS {record[when]:.2f}"), fontsize=9)
        for axis in row:
            axis.contour(mask, levels=[0.5], colors="white", linewidths=1)
    axes[0][0].set_title(f"{figure_text(change.layer)}, unit {change.unit}", fontsize=9)
    save_figure(figure, path)
