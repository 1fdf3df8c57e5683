"""Score a network's units on search arrays by the NMM of their activation maps.

References
----------
He et al., CVPR 2019, section 7, Table 5 and Figure 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from ...datasets.masks.mask_set import MaskSet
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Stimuli, Stimulus
from ..layers.layers import Layer, select
from ..networks.activation import activation
from ..networks.device import resolve_device
from ..networks.model import Model
from ..records.columns import layer_units
from ..saliency.maps import MapOf
from ..scoring.batches import MaskPlan
from ..scoring.loading import load_batches
from ..scoring.scorer import Scorer
from ..statistics.cross_fit import Folds, cross_fit
from ..statistics.selectivity import TOP, top_units


@dataclass(frozen=True, eq=False)
class UnitScores:
    """The result of `unit_nmm`.

    Attributes
    ----------
    units : DataFrame
        ``layer, unit, nmm``: the mean over arrays.
    summary : DataFrame
        ``layer, nmm``: mean of the `TOP` highest units, as in the paper; ``nmm_low, nmm_high,
        nmm_crossval``: that of units chosen on two thirds of the arrays and scored on the third
        (see `cross_fit`), and its 95 % interval.
    layer : Layer
        The layer whose top units score highest.
    best : dict
        From an array's image id to the unit of that layer that scores highest on it.
    """

    units: pd.DataFrame
    summary: pd.DataFrame
    layer: Layer
    best: dict[int, int]


def unit_nmm(
    masks: MaskSet,
    root: Path,
    model: Model,
    layers: Sequence[str] = (),
    *,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = SILENT,
) -> UnitScores:
    """Score every unit of a network by the NMM of its activation map (Table 5).

    Parameters
    ----------
    masks : MaskSet
        Search arrays; only regions of the category ``target`` are scored.
    root : Path
        Folder of the images.
    model : Model
    layers : list of str
        Names or wildcards; empty for the default layers.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    seed : int
        For the bootstrap and the parts.
    progress : Progress
        Where to report; silent by default.

    Raises
    ------
    InputError
        If an image cannot be read, a name matches no layer, or the device cannot be used.
    """
    names = masks.category_of()
    targets = {region.id for region in masks.annotations if names[region.category_id] == "target"}
    plan = MaskPlan.of(masks.subset({image.id for image in masks.images}, targets), root)
    chosen = select(model.layers(), layers)
    scores = []
    scorer = Scorer(model, chosen, resolve_device(device), "fp32")
    count = sum(len(batch) for batch in plan.batches)
    with scorer, progress.task("units on arrays", count) as advance:
        numbers = range(len(plan.batches))
        for _, loaded, _ in load_batches(plan, numbers, model.resize, scorer.device):
            scores += scorer.score(loaded)
            advance(len(loaded))
    table = np.concatenate(scores).astype(np.float64)
    units, summary = [], []
    columns = layer_units(chosen)
    folds = Folds.of(np.arange(len(table)), len(table), seed)
    for layer in columns:
        values = table[:, layer.columns]
        mean = values.mean(axis=0)
        units.append(pd.DataFrame({"layer": layer.name, "unit": np.arange(len(mean)), "nmm": mean}))
        means = folds.means(values)
        crossval = cross_fit(means, means, top=TOP)[0].interval
        row = {"nmm_low": crossval.low, "nmm_high": crossval.high, "nmm_crossval": crossval.value}
        summary.append({"layer": layer.name, "nmm": mean[top_units(mean)].mean(), **row})
    per_layer = pd.DataFrame(summary)
    place = int(per_layer["nmm"].to_numpy().argmax())
    layer = chosen[place]
    images = [item.stimulus.id for batch in plan.batches for item in batch]
    best = dict(zip(images, table[:, columns[place].columns].argmax(axis=1).tolist(), strict=True))
    return UnitScores(pd.concat(units, ignore_index=True), per_layer, layer, best)


def unit_maps(model: Model, scores: UnitScores, stimuli: Stimuli) -> MapOf:
    """Return the map of the unit that scores highest on each array, resized to it (Figure 9)."""

    def map_of(stimulus: Stimulus) -> np.ndarray:
        maps = activation(model, scores.layer, stimuli.read(stimulus))
        best = maps[scores.best[stimulus.id]]
        return cv2.resize(best, (stimulus.width, stimulus.height))

    return map_of
