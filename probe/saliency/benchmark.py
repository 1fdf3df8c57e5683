"""`probe score`: saliency models against the fixations on a dataset's images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.progress import SILENT, Progress
from ...datasets.stimuli import Dataset, Stimulus
from ..statistics.clusters import mean_interval
from .densities import Fitted, is_density, without_logarithm
from .maps import MapOf, maps_of
from .metrics import (
    auc_borji,
    auc_judd,
    auc_shuffled,
    cc,
    empirical,
    information_gain,
    kl,
    nss,
    sim,
)
from .observers import CentreBias, Human, viewed

MEASURES = ("NSS", "AUC-Judd", "AUC-Borji", "sAUC", "CC", "SIM", "KL", "IG")


def score(
    dataset: Dataset,
    models: Mapping[str, MapOf] | Sequence[str],
    count: int | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Score saliency models on images.

    Parameters
    ----------
    dataset : Dataset
    models : sequence of str, or mapping
        Names, as for `saliency_map`, and ``human``, ``centre``; or, by name, functions that return
        a stimulus's map. ``human`` is scored by leaving out one subject at a time: the others'
        density on the subject's own fixations, and the mean over subjects.
    count : int, optional
        Score only the first images.
    seed : int
        For the random draws of AUC-Borji.

    Returns
    -------
    DataFrame
        ``model, image_id, file_name``, `MEASURES` and ``kind``, a row for each model and image
        with fixations. The empirical saliency map is the fixations blurred by one degree. sAUC
        is against all other images' fixations, at relative positions. IG is over `CentreBias`. A
        model's ``kind`` is ``density`` if each of its maps is one (`is_density`) or the logarithm
        of one, which all measures take without the logarithm; its IG is that of the density as it
        is. Or else ``map``, whose IG is that of a density with blur and centre bias fitted on
        other images (`Fitted`).

    Raises
    ------
    InputError
        If fewer than two images have fixations, or a map cannot be made or read.

    Examples
    --------
    >>> import salprobe as sp
    >>> sp.write_sample("sample")
    >>> dataset = sp.load_dataset("sample")
    >>> def bright(stimulus):
    ...     return np.asarray(dataset.stimuli.read(stimulus).convert("L"), float)
    >>> scores = sp.score(dataset, {"bright": bright}, count=2)
    >>> scores.columns[:4].tolist()
    ['model', 'image_id', 'file_name', 'NSS']
    >>> scores = sp.score(dataset, ["human", "centre"])
    >>> human, centre = scores.groupby("model", sort=False)["NSS"].mean()
    >>> bool(human > centre)
    True
    """
    if not isinstance(models, Mapping):
        models = maps_of(models, dataset.stimuli, dataset)
    images = viewed(dataset)
    stimuli = images[:count]
    if len(stimuli) < 2:
        raise InputError(f"{len(stimuli)} images with fixations: expected 2 or more")
    centre, others = CentreBias(dataset), _Others(dataset)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in models}
    fitted = {name: Fitted(dataset.px_per_degree) for name in models}
    with progress.task("scoring", len(models) * len(stimuli)) as advance:
        for stimulus in stimuli:
            baseline, negatives = centre(stimulus), others.of(stimulus)
            for name, map_of in models.items():
                drawing = np.random.default_rng([seed, stimulus.id, 1])  # the same for every model
                densities = True
                values = []
                for saliency, looked in _trials(map_of, stimulus, dataset):
                    x, y = looked.x, looked.y
                    blurred = empirical(x, y, stimulus.size, dataset.px_per_degree)
                    values.append(
                        (
                            nss(saliency, x, y),
                            auc_judd(saliency, x, y),
                            auc_borji(saliency, x, y, drawing),
                            auc_shuffled(saliency, x, y, *negatives),
                            cc(saliency, blurred),
                            sim(saliency, blurred),
                            kl(saliency, blurred),
                            information_gain(saliency, baseline, x, y),
                        )
                    )
                    densities &= is_density(saliency)
                    if not isinstance(map_of, Human):
                        fitted[name].add(saliency, baseline, x, y)
                rows[name].append(
                    {
                        "model": name,
                        "image_id": stimulus.id,
                        "file_name": stimulus.file_name,
                        **dict(zip(MEASURES, np.mean(values, axis=0).tolist(), strict=True)),
                        "kind": "density" if densities else "map",
                    }
                )
                advance(1)
    tables = []
    for name, of_model in rows.items():
        table = pd.DataFrame(of_model)
        if (table["kind"] == "map").any():
            table["kind"], table["IG"] = "map", fitted[name].gains()
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``model, kind, measure, mean, low, high``; 95 % intervals over images.

    ``kind`` is that of `score`.
    """
    rows = []
    for name, part in table.groupby("model", sort=False):
        for measure in MEASURES:
            mean = mean_interval(part[measure].to_numpy())
            kind = part["kind"].iloc[0]
            rows.append(
                {
                    "model": name,
                    "kind": kind,
                    "measure": measure,
                    **mean.columns("mean", prefix=False),
                }
            )
    return pd.DataFrame(rows)


def _trials(
    map_of: MapOf, stimulus: Stimulus, dataset: Dataset
) -> Iterable[tuple[np.ndarray, Fixations]]:
    """Return maps and the fixations that each is scored on: one, or one for every subject."""
    if isinstance(map_of, Human):
        return map_of.without_each(stimulus)
    saliency = without_logarithm(map_of(stimulus))
    return [(saliency, dataset.fixations.of(stimulus.id))]


class _Others:
    """The fixations on all images but one, at the same relative positions on that one."""

    def __init__(self, dataset: Dataset) -> None:
        sizes = {image.id: (image.width, image.height) for image in dataset.stimuli}
        looked = dataset.fixations
        self._looked = looked.where(np.isin(looked.image_id, list(sizes)))
        self._width, self._height = (
            np.array([sizes[one][side] for one in self._looked.image_id.tolist()], dtype=np.int64)
            for side in (0, 1)
        )

    def of(self, stimulus: Stimulus) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y, int64 arrays, on a stimulus."""
        other = self._looked.image_id != stimulus.id
        x = self._looked.x[other] * stimulus.width // self._width[other]
        return x, self._looked.y[other] * stimulus.height // self._height[other]
