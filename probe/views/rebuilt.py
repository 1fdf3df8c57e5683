"""Real and rebuilt maps side by side, with the weights that they are rebuilt with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from ...datasets.errors import InputError
from ...datasets.stimuli import Stimuli
from ...datasets.texts import figure_text, minus
from ..explain.bank import CHANNELS, FILTERS, picture_features
from ..explain.explanation import Explanation
from ..explain.rebuilt import rebuilt
from ..layers.layers import select
from ..networks.activation import activations
from ..networks.model import network_input
from ..runs.inputs import layers_of, model_of
from ..sources.gabor import ORIENTATIONS, WAVELENGTHS
from .overlays import ShownFigure, panel, save_figure

_WIDTH = 1.9  # of a panel, in inches


def draw_explanation(
    explanation: Explanation,
    path: str | Path | None = None,
    *,
    layers: str | Sequence[str] = (),
    root: str | Path | None = None,
    model: str | Path | None = None,
) -> Figure:
    """Draw units' maps beside the rebuilt ones, with the weights of their filters.

    Two rows for each layer: the unit that is explained best, and the one at the median. The picture
    is that on which the layer's R² is the median, not the one that looks best; both maps have the
    range of the real one. Of a filter's five responses, the weight drawn is the root of the sum of
    squares of the standardised weights.

    Parameters
    ----------
    explanation : Explanation
    path : path, optional
        File to write (.png, .pdf, .svg). The returned figure displays itself in a notebook.
    layers : str or sequence of str
        Names or wildcards; by default all.
    root, model : path, optional
        The folder of images, and the file of weights or training folder, if they have moved.

    Raises
    ------
    InputError
        If there is no such layer, an input is missing or not the explanation's, or matplotlib does
        not know the file's format.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> model = sp.Backbone("gabor", input_size=(48, 64))
    >>> found = sp.explain("sample", model=model, layers="log_gabor", out="e")
    >>> figure = sp.draw_explanation(found, "units.png")
    """
    network = model_of(explanation, None if model is None else Path(model), "--model")
    chosen = select(list(layers_of(explanation, network).values()), layers)
    folder = root or explanation.info.paths.root
    if folder is None:
        raise InputError(f"{explanation.folder}: does not record its folder of images; give --root")
    rows = [
        (layer, unit, said) for layer in chosen for unit, said in _units(explanation, layer.name)
    ]
    figure = ShownFigure(figsize=(_WIDTH * 5, 0.6 + 1.55 * len(rows)), layout="constrained")
    figure.suptitle(
        figure_text(f"{explanation.describe()}. Units of each layer, on its median picture"),
        fontsize=8,
    )
    axes: Any = figure.subplots(
        *(len(rows), 4), squeeze=False, gridspec_kw={"width_ratios": (1, 1, 1, 2)}
    )
    places = {layer.name: place for place, layer in enumerate(explanation.info.layers)}
    for row, (layer, unit, said) in zip(axes, rows, strict=True):
        picture = _picture(explanation, places[layer.name], Path(folder))
        rgb = network_input(picture, network.resize)
        features = picture_features(torch.from_numpy(rgb).permute(2, 0, 1).float() / 255)
        own = activations(network, [layer], picture)[layer.name][unit]
        known = explanation.coefficients_of(layer.name)[:, [unit]]
        made = rebuilt(features, layer, known)[0].numpy()
        panel(row[0], np.asarray(picture))
        row[0].set_ylabel(f"{figure_text(layer.name)}\nunit {unit}", fontsize=7)
        for axis, values in zip(row[1:3], (own, made), strict=True):
            axis.imshow(
                *(values, "inferno"),
                vmin=own.min(),
                vmax=own.max(),
                extent=(0, picture.width, picture.height, 0),
            )
            axis.set_xticks([])
            axis.set_yticks([])
        row[2].set_title(said, fontsize=7)
        _weights(row[3], explanation.weights_of(layer.name)[:, unit])
    for axis, title in zip(axes[0], ("picture", "its map", None, None), strict=True):
        if title:
            axis.set_title(title, fontsize=7)
    if path is not None:
        save_figure(figure, Path(path))
    return figure


def _units(explanation: Explanation, layer: str) -> list[tuple[int, str]]:
    """Return the unit of a layer that is explained best and the median one, and titles."""
    units = explanation.units
    own = units[(units["layer"] == layer) & units["r2"].notna()].sort_values("r2")
    if own.empty:
        raise InputError(f"{explanation.folder}: no unit of {layer} varies")
    found = [("best", own.iloc[-1])]
    if len(own) > 2:
        found.append(("median", own.iloc[len(own) // 2]))
    return [
        (int(row["unit"]), minus(f"rebuilt ({which}): R² {row['r2']:.2f}")) for which, row in found
    ]


def _picture(explanation: Explanation, place: int, root: Path) -> Any:
    """Return the picture on which a layer's R² is the median."""
    sums = explanation.stimuli[:, place]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.nan_to_num(1 - sums[:, -2] / sums[:, -1], nan=-np.inf)
    middle = int(np.argsort(shares, kind="stable")[len(shares) // 2])
    name = str(explanation.images["image"].iloc[middle])
    for folder in (root, root / "stimuli"):
        if (folder / name).is_file():
            stimuli = Stimuli.from_folder(folder, [name])
            return stimuli.read(stimuli[0])
    raise InputError(f"{root / name}: no such image (--root names the images' folder)")


def _weights(axis: Any, weights: np.ndarray) -> None:
    """Draw the strength of a unit's filters: wavelengths down, orientations across, by channel."""
    strength = np.sqrt((weights[FILTERS] ** 2).sum(1))
    strength = strength.reshape(len(CHANNELS), len(WAVELENGTHS), len(ORIENTATIONS))
    axis.imshow(np.hstack(list(strength)), cmap="viridis", aspect="auto", vmin=0)
    n = len(ORIENTATIONS)
    for edge in range(1, len(CHANNELS)):
        axis.axvline(edge * n - 0.5, color="white", linewidth=2)
    ticks = np.arange(len(CHANNELS) * n)
    axis.set_xticks(ticks[:: n // 2], [f"{ORIENTATIONS[k % n]}°" for k in ticks[:: n // 2]])
    axis.set_yticks(range(len(WAVELENGTHS)), [f"{one} px" for one in WAVELENGTHS])
    axis.tick_params(labelsize=6)
    for place, channel in enumerate(CHANNELS):
        where = (place + 0.5) / len(CHANNELS)
        axis.text(where, 1.03, channel, transform=axis.transAxes, ha="center", fontsize=7)
